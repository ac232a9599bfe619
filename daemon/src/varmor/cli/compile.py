# SPDX-License-Identifier: Apache-2.0
"""``varmor compile``: print what each enforcer would load."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from typing import Any

from varmor.catalog.capabilities import NAMES
from varmor.catalog.loader import load
from varmor.cli.apparmor_check import local_facts
from varmor.cli.sources import SourceError, manifest_files, read_policies
from varmor.policy.types import Enforcer
from varmor.profile.compile import compile_policy
from varmor.profile.types import Access, BpfProfile, EgressRule, NodeFacts, Profile

_ENFORCERS = {name.lower(): name for member in Enforcer for name in member.names()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor compile``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("--enforcer", type=str.lower, choices=tuple(_ENFORCERS), help="only the part of this enforcer")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="the form of the output")


def run(arguments: argparse.Namespace) -> int:
    """Compile all policies and print the profiles."""
    facts = local_facts(NodeFacts(machine=platform.machine()))
    profiles = [
        compile_policy(policy, load(), facts)
        for name in manifest_files(arguments.files)
        for policy in read_policies(name)
    ]
    if not profiles:
        raise SourceError(f"{', '.join(arguments.files)}: no policy to compile")
    if arguments.output == "json":
        documents = [_document(profile, arguments.enforcer) for profile in profiles]
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=2))
    else:
        print("\n".join(line for profile in profiles for line in _lines(profile, arguments.enforcer)))
    for profile in profiles:
        for note in profile.no_effect:
            print(f"{profile.policy}: warning: {note.field}: {note.message}", file=sys.stderr)
    return 0


def _document(profile: Profile, enforcer: str | None) -> dict[str, Any]:
    content = profile.content()
    if enforcer is not None:
        content = {key: value for key, value in content.items() if key not in _ENFORCERS or key == enforcer}
    notes = [{"field": note.field, "message": note.message} for note in profile.no_effect]
    return {**content, "digest": profile.digest, "noEffect": notes}


def _lines(profile: Profile, enforcer: str | None) -> Iterator[str]:
    yield f"# {profile.policy}: profile {profile.name}, mode {profile.mode.value}, digest {profile.digest[:12]}"
    if profile.apparmor is not None and enforcer in (None, "apparmor"):
        yield from ("", "## AppArmor", profile.apparmor.rstrip("\n"))
    if profile.bpf is not None and enforcer in (None, "bpf"):
        yield from ("", "## BPF", *_bpf_lines(profile.bpf))
    if profile.seccomp is not None and enforcer in (None, "seccomp"):
        yield from ("", "## Seccomp", json.dumps(profile.seccomp, indent=2))
    if profile.unit.directives and enforcer is None:
        yield from ("", "## systemd", "[Service]")
        yield from (f"{directive}={value}" for directive, value in profile.unit.directives)


def _bpf_lines(profile: BpfProfile) -> Iterator[str]:
    lines: list[tuple[bool, bool, str, str]] = []
    for path in profile.paths:
        lines.append((path.deny, path.audit, f"{_access(path.access)} {path.pattern}", path.origin))
    for egress in profile.egress:
        lines.append((egress.deny, egress.audit, f"connect {_destination(egress)}", egress.origin))
    for mount in profile.mounts:
        lines.append((mount.deny, mount.audit, f"mount {mount.source} fstype={mount.fstype}", mount.origin))
    for capability in profile.capabilities:
        names = ",".join(name for number, name in enumerate(NAMES) if capability.mask >> number & 1)
        lines.append((capability.deny, capability.audit, f"capability {names}", capability.origin))
    for switch in profile.switches:
        lines.append((switch.deny, switch.audit, switch.operation, switch.origin))
    if not lines:
        yield "(no rules)"
    for deny, audit, body, origin in lines:
        qualifiers = " ".join(word for word, on in (("audit", audit), ("deny", deny)) if on)
        yield f"{qualifiers} {body}  # {origin}"


def _access(access: Access) -> str:
    return ",".join(flag.name.lower() for flag in Access if flag in access and flag.name)


def _destination(rule: EgressRule) -> str:
    ports = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in rule.ports)
    return f"{rule.network or 'any'}{f' port {ports}' if ports else ''}"

# SPDX-License-Identifier: Apache-2.0
"""A profile as text for people: what each enforcer would load."""

from __future__ import annotations

import json
from collections.abc import Iterator

from varmor.catalog.capabilities import NAMES
from varmor.profile.types import Access, BpfProfile, EgressRule, Profile


def text_lines(profile: Profile, enforcer: str | None = None) -> Iterator[str]:
    """The whole profile, or the part of one enforcer (``apparmor``, ``bpf``, ``seccomp``)."""
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

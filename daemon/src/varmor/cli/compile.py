# SPDX-License-Identifier: Apache-2.0
"""``varmor compile``: print what each enforcer would load."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import Any

from varmor.catalog.loader import load
from varmor.cli.apparmor_check import local_facts
from varmor.cli.sources import SourceError, manifest_files, read_policies
from varmor.policy.types import Enforcer
from varmor.profile.compile import compile_policy
from varmor.profile.text import text_lines
from varmor.profile.types import NodeFacts, Profile

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
        print("\n".join(line for profile in profiles for line in text_lines(profile, arguments.enforcer)))
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

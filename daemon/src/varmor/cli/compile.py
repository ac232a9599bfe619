# SPDX-License-Identifier: Apache-2.0
"""``varmor compile``: print what each enforcer would load."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from varmor.cli.node_facts import add_fact_arguments, facts_of
from varmor.cli.sources import compile_all
from varmor.policy.types import Enforcer
from varmor.profile.text import text_lines
from varmor.profile.types import Profile

_ENFORCERS = {name.lower(): name for member in Enforcer for name in member.names()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor compile``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("--enforcer", type=str.lower, choices=tuple(_ENFORCERS), help="only the part of this enforcer")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text: a list of profiles")
    add_fact_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compile all policies and print the profiles."""
    profiles = compile_all(arguments.files, facts_of(arguments))
    if arguments.json:
        documents = [_document(profile, arguments.enforcer) for profile in profiles]
        print(json.dumps(documents, indent=2))
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

# SPDX-License-Identifier: Apache-2.0
"""``varmor diff``: what becomes allowed or denied when one policy takes the place of another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from varmor.advice.change import Change, Effect
from varmor.advice.difference import difference
from varmor.cli.node_facts import add_fact_arguments, facts_of
from varmor.cli.sources import compile_all
from varmor.profile.types import Profile

DIFFERENT = 3
"""Exit code of ``--exit-code`` when the policies differ; 1 and 2 are errors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor diff``."""
    parser.add_argument("old", metavar="OLD", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("new", metavar="NEW", help="what is to take its place")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {DIFFERENT} when the meaning differs")
    add_fact_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare policy by policy and print what changes."""
    facts = facts_of(arguments)
    old, new = compile_all([arguments.old], facts), compile_all([arguments.new], facts)
    pairs = list(_pairs(old, new))
    compared = [(before, after, difference(before, after)) for before, after in pairs]
    if arguments.json:
        print(json.dumps([_document(*item) for item in compared], indent=2))
    else:
        print("\n".join(line for item in compared for line in _lines(*item)))
    differs = any(changes for _, _, changes in compared)
    return DIFFERENT if arguments.exit_code and differs else 0


def _pairs(old: Sequence[Profile], new: Sequence[Profile]) -> Iterator[tuple[Profile | None, Profile | None]]:
    """Policies of one name belong together; one policy on each side does so whatever it is called."""
    if len(old) == len(new) == 1:
        yield old[0], new[0]
        return
    before, after = ({profile.policy: profile for profile in side} for side in (old, new))
    for key in dict.fromkeys((*before, *after)):
        yield before.get(key), after.get(key)


def _heading(old: Profile | None, new: Profile | None) -> str:
    def words(profile: Profile) -> str:
        return f"{profile.policy} ({profile.mode.value}, {' '.join(profile.enforcers.names())})"

    if old is None or new is None:
        profile = old or new
        return f"{words(profile)}: {'is new' if old is None else 'is removed'}" if profile else ""
    return words(new) if words(old) == words(new) else f"{words(old)} -> {words(new)}"


def _lines(old: Profile | None, new: Profile | None, changes: Sequence[Change]) -> Iterator[str]:
    yield _heading(old, new)
    if not changes:
        yield "  means the same"
    for effect in Effect:
        found = [change for change in changes if change.effect is effect]
        if found:
            yield f"  {effect.value}:"
        for change in found:
            notes = [
                f"e.g. {change.example}" if change.example else "",
                f"after executing {', '.join(change.executables)}" if change.executables else "",
                f"[{change.origin}]" if change.origin else "",
            ]
            yield "  ".join([f"    {change.enforcer:9}", change.what, *(note for note in notes if note)])


def _document(old: Profile | None, new: Profile | None, changes: Sequence[Change]) -> dict[str, object]:
    return {
        "old": str(old.policy) if old else None,
        "new": str(new.policy) if new else None,
        "changes": [{**asdict(change), "effect": change.effect.name.lower()} for change in changes],
    }

# SPDX-License-Identifier: Apache-2.0
"""``varmor validate``: check policies without touching anything."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from varmor.catalog.loader import load
from varmor.cli.apparmor_check import check, parser_program
from varmor.cli.node_facts import add_fact_arguments, facts_of
from varmor.cli.sources import manifest_files, read_all, read_manifests
from varmor.errors import PolicyError, VarmorError
from varmor.policy.manifests import Manifests
from varmor.policy.types import Policy, PolicyKey
from varmor.policy.update import check_update
from varmor.profile import tables
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts, Profile


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one policy, or (``policy`` None) about a file that is empty or could not be read."""

    source: str
    policy: Policy | None = None
    profile: Profile | None = None
    error: VarmorError | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor validate``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("--against", metavar="OLD", help="check too that the policies of OLD may be changed to these")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument("--quiet", action="store_true", help="print nothing for policies that are right")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    add_fact_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check all files; every fault and every warning is one line on standard error."""
    facts = facts_of(arguments)
    old = {policy.key: policy for policy in read_all([arguments.against]).policies} if arguments.against else {}
    verdicts = list(_verdicts(arguments.files, facts, old))
    if arguments.json:
        print(json.dumps([_document(verdict) for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            _report(verdict, quiet=arguments.quiet)
    codes = [verdict.error.exit_code for verdict in verdicts if verdict.error]
    if arguments.strict and any(verdict.profile and verdict.profile.no_effect for verdict in verdicts):
        codes.append(PolicyError.exit_code)
    return max(codes, default=0)


def _verdicts(names: list[str], facts: NodeFacts, old: Mapping[PolicyKey, Policy]) -> Iterator[Verdict]:
    """Each policy by itself, so that one fault does not hide the others. Models may lie in any of the files."""
    read: dict[str, Manifests] = {}
    for name in manifest_files(names):
        try:
            read[name] = read_manifests(name)
            if not read[name].policies and not read[name].models:
                yield Verdict(name)
        except VarmorError as error:
            yield Verdict(name, error=error)
    models = tuple(model for part in read.values() for model in part.models)
    for name, part in read.items():
        for policy in part.policies:
            try:
                if policy.key in old:
                    check_update(old[policy.key], policy, "")
                profile = compile_policy(policy, load(), facts, models)
                _check_loadable(policy, profile)
                yield Verdict(name, policy, profile)
            except VarmorError as error:
                yield Verdict(name, policy, error=error)


def _check_loadable(policy: Policy, profile: Profile) -> None:
    """Build what the kernel's tables and apparmor_parser would get."""
    if profile.bpf is not None:
        try:
            tables.encode(profile.bpf)
        except VarmorError as error:
            raise policy.error("spec.policy", str(error)) from error
    program = parser_program()
    if program is not None and profile.apparmor is not None:
        check(program, policy, profile)


def _report(verdict: Verdict, *, quiet: bool) -> None:
    policy, profile = verdict.policy, verdict.profile
    if verdict.error is not None:
        print(f"varmor: {' '.join(str(verdict.error).splitlines())}", file=sys.stderr)
        return
    if policy is None or profile is None:
        print(f"{verdict.source}: no policy in this file", file=sys.stderr)
        return
    if not quiet:
        print(f"{verdict.source}: {policy.key}: valid ({', '.join(policy.enforcers.names())}, {policy.mode.value})")
    for note in profile.no_effect:
        print(f"{policy.locate(note.field)}: {policy.key}: warning: {note.field}: {note.message}", file=sys.stderr)


def _document(verdict: Verdict) -> dict[str, object]:
    policy, profile, error = verdict.policy, verdict.profile, verdict.error
    where = error.where if isinstance(error, PolicyError) else None
    return {
        "source": verdict.source,
        "policy": str(policy.key) if policy else None,
        "valid": error is None,
        "error": None
        if error is None
        else {
            "message": str(error),
            "field": error.field if isinstance(error, PolicyError) else "",
            "line": where.line if where else 0,
            "column": where.column if where else 0,
        },
        "warnings": [
            {
                "field": note.field,
                "message": note.message,
                "line": policy.locate(note.field).line,
                "column": policy.locate(note.field).column,
            }
            for note in (profile.no_effect if profile else ())
            if policy is not None
        ],
    }

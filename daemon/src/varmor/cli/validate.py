# SPDX-License-Identifier: Apache-2.0
"""``varmor validate``: check policies without touching anything."""

from __future__ import annotations

import argparse
import platform
import sys

from varmor.catalog.loader import load
from varmor.cli.apparmor_check import check, local_facts, parser_program
from varmor.cli.sources import manifest_files, read_policies
from varmor.errors import VarmorError
from varmor.policy.types import Policy
from varmor.profile import tables
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts, Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor validate``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("--quiet", action="store_true", help="print nothing for policies that are right")


def run(arguments: argparse.Namespace) -> int:
    """Check all files; every wrong one gets one line on standard error."""
    code = 0
    facts = local_facts(NodeFacts(machine=platform.machine()))
    for name in manifest_files(arguments.files):
        try:
            policies = read_policies(name)
            if not policies:
                print(f"{name}: no policy in this file", file=sys.stderr)
            for policy in policies:
                _report(policy, _validated(policy, facts), quiet=arguments.quiet)
        except VarmorError as error:
            print(f"varmor: {' '.join(str(error).splitlines())}", file=sys.stderr)
            code = max(code, error.exit_code)
    return code


def _validated(policy: Policy, facts: NodeFacts) -> Profile:
    profile = compile_policy(policy, load(), facts)
    if profile.bpf is not None:
        try:
            tables.encode(profile.bpf)
        except VarmorError as error:
            raise policy.error("spec.policy.enhanceProtect.bpfRawRules", str(error)) from error
    program = parser_program()
    if program is not None and profile.apparmor is not None:
        try:
            check(program, profile.name, profile.apparmor)
        except VarmorError as error:
            raise policy.error("", str(error)) from error
    return profile


def _report(policy: Policy, profile: Profile, *, quiet: bool) -> None:
    if not quiet:
        print(
            f"{policy.where.source}: {policy.key}: valid ({', '.join(policy.enforcers.names())}, {policy.mode.value})"
        )
    for note in profile.no_effect:
        print(f"{policy.locate(note.field)}: {policy.key}: warning: {note.field}: {note.message}", file=sys.stderr)

# SPDX-License-Identifier: Apache-2.0
"""``varmor explain``: what a built-in rule is for and how each enforcer says it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from varmor.catalog.loader import load
from varmor.catalog.types import BpfForm, Rule, SyscallForm
from varmor.errors import VarmorError
from varmor.policy.nearest import did_you_mean

_WIDTH = 100


class UnknownRuleError(VarmorError):
    """There is no such rule."""

    exit_code = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor explain``."""
    parser.add_argument("rule", nargs="?", help="the name of a built-in rule; without it all are listed")


def run(arguments: argparse.Namespace) -> int:
    """Print one rule, or the list of all."""
    catalog = load()
    if arguments.rule is None:
        for rule in catalog.rules:
            print(f"{rule.name:34} {', '.join(rule.enforcers.names()):24} {rule.summary}")
        return 0
    found = catalog.find(arguments.rule)
    if found is None:
        raise UnknownRuleError(f"unknown rule {arguments.rule!r}{did_you_mean(arguments.rule, catalog.names())}")
    print("\n".join(_lines(found)))
    return 0


def _lines(rule: Rule) -> Iterator[str]:
    yield rule.name + (f" (also {', '.join(rule.aliases)})" if rule.aliases else "")
    for title, text in (
        ("list", f"spec.policy.enhanceProtect.{rule.list.value}"),
        ("enforcers", ", ".join(rule.enforcers.names())),
        ("blocks", rule.summary),
        ("against", rule.attack),
        ("breaks", rule.breaks),
    ):
        yield from textwrap.wrap(f"{title + ':':11}{text}", _WIDTH, initial_indent="  ", subsequent_indent=" " * 13)
    if rule.apparmor:
        needs = (
            f" (apparmor_parser {'.'.join(map(str, rule.apparmor.parser))})" if rule.apparmor.parser > (3, 0) else ""
        )
        yield f"  AppArmor{needs}:"
        yield from (f"    deny {body}," for body in rule.apparmor.rules)
    if rule.bpf:
        yield "  BPF:"
        yield from (f"    deny {line}" for line in _bpf(rule.bpf))
    if rule.seccomp:
        yield "  Seccomp:"
        yield from (f"    {_syscalls(form)}" for form in rule.seccomp)
    if rule.unit:
        yield "  systemd units, instead of seccomp:"
        yield from (f"    {directive}={value}" for directive, value in rule.unit)


def _bpf(form: BpfForm) -> Iterator[str]:
    yield from (f"{','.join(path.access)} {path.pattern}" for path in form.paths)
    yield from (f"connect {address}" for address in form.egress)
    yield from (f"mount {mount.source} fstype={mount.fstype}" for mount in form.mounts)
    if form.capabilities:
        yield f"capability {','.join(form.capabilities)}"
    yield from form.switches


def _syscalls(form: SyscallForm) -> str:
    conditions = [
        f"arg{arg.index} & {arg.value:#x} == {arg.value_two:#x}"
        if arg.op == "SCMP_CMP_MASKED_EQ"
        else f"arg{arg.index} {arg.op.removeprefix('SCMP_CMP_')} {arg.value:#x}"
        for arg in form.args
    ]
    return f"{', '.join(form.names)}{' when ' if conditions else ''}{' and '.join(conditions)}: errno {form.errno}"

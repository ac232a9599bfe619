# SPDX-License-Identifier: Apache-2.0
"""``varmor rules``: what built-in rules there are, what one does, and how each enforcer says it."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from varmor.catalog.describe import form_lines, needs, works_on
from varmor.catalog.loader import load
from varmor.catalog.types import Rule, RuleList
from varmor.errors import VarmorError
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import Enforcer

_WIDTH = 100
_ENFORCERS = {name.lower(): enforcer for enforcer in Enforcer for name in enforcer.names()}


class UnknownRuleError(VarmorError):
    """There is no such rule."""

    exit_code = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor rules``."""
    parser.add_argument("rule", nargs="?", help="the name of a rule, to see all about it; without it all are listed")
    parser.add_argument("--list", choices=[each.value for each in RuleList], help="only the rules of this list")
    parser.add_argument(
        "--enforcer", type=str.lower, choices=list(_ENFORCERS), help="only the rules that this enforcer has a form for"
    )
    parser.add_argument(
        "--kernel", type=_kernel, metavar="VERSION", help="only the rules that this Linux enforces, such as 6.1"
    )
    parser.add_argument("--search", metavar="WORD", help="only the rules whose name, texts or CVEs hold this word")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print one rule, or the list of those that fit."""
    if arguments.rule is not None:
        rule = _find(arguments.rule)
        print(json.dumps(described(rule), indent=2) if arguments.json else "\n".join(_lines(rule)))
        return 0
    rules = [rule for rule in load().rules if _fits(rule, arguments)]
    if arguments.json:
        print(json.dumps([described(rule) for rule in rules], indent=2))
    else:
        _print_table(rules)
    return 0


def described(rule: Rule) -> dict[str, Any]:
    """A rule as plain JSON values."""
    return {
        "name": rule.name,
        "aliases": list(rule.aliases),
        "list": rule.list.value,
        "summary": rule.summary,
        "attack": rule.attack,
        "breaks": rule.breaks,
        "cves": list(rule.cves),
        "enforcers": {
            name: {
                "form": form_lines(rule, enforcer),
                "needs": needs(rule, enforcer),
                "limits": rule.limit(enforcer),
                "cannot": rule.reason(enforcer),
            }
            for enforcer in Enforcer
            for name in enforcer.names()
        },
        "unit": [f"{directive}={value}" for directive, value in rule.unit],
    }


def _kernel(text: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a version such as 6.1, found {text!r}")
    return int(match[1]), int(match[2])


def _find(name: str) -> Rule:
    catalog = load()
    found = catalog.find(name)
    if found is None:
        raise UnknownRuleError(f"unknown rule {name[:80]!r}{did_you_mean(name, catalog.names())}")
    return found


def _fits(rule: Rule, arguments: argparse.Namespace) -> bool:
    chosen = _ENFORCERS.get(arguments.enforcer or "")
    enforcers = [chosen] if chosen is not None else list(Enforcer)
    if arguments.list is not None and rule.list.value != arguments.list:
        return False
    if not any(enforcer in rule.enforcers for enforcer in enforcers):
        return False
    if arguments.kernel is not None and not any(works_on(rule, each, arguments.kernel) for each in enforcers):
        return False
    if arguments.search is None:
        return True
    texts = (rule.name, *rule.aliases, rule.summary, rule.attack, rule.breaks, *rule.cves)
    return any(arguments.search.lower() in text.lower() for text in texts)


def _print_table(rules: list[Rule]) -> None:
    width = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        marks = " ".join(
            name if enforcer in rule.enforcers else "-" * len(name)
            for enforcer in Enforcer
            for name in enforcer.names()
        )
        print(f"{rule.name:{width}}  {marks}  {rule.summary}")


def _lines(rule: Rule) -> Iterator[str]:
    yield rule.name + (f" (also {', '.join(rule.aliases)})" if rule.aliases else "")
    for title, text in (
        ("list", f"spec.policy.enhanceProtect.{rule.list.value}"),
        ("enforcers", ", ".join(rule.enforcers.names())),
        ("blocks", rule.summary),
        ("against", rule.attack),
        ("breaks", rule.breaks),
        ("CVEs", ", ".join(rule.cves)),
    ):
        if text:
            yield from _wrapped(title, text)
    for enforcer in Enforcer:
        (name,) = enforcer.names()
        if enforcer not in rule.enforcers:
            yield from _wrapped(name, f"no form: {rule.reason(enforcer)}")
            continue
        asked = needs(rule, enforcer)
        yield f"  {name}{f' (needs {asked})' if asked else ''}:"
        yield from (f"    {line}" for line in form_lines(rule, enforcer))
        if limit := rule.limit(enforcer):
            yield from textwrap.wrap(f"but: {limit}", _WIDTH, initial_indent="    ", subsequent_indent=" " * 9)
    if rule.unit:
        yield "  systemd units, instead of seccomp:"
        yield from (f"    {directive}={value}" for directive, value in rule.unit)


def _wrapped(title: str, text: str) -> list[str]:
    return textwrap.wrap(f"{title + ':':11}{text}", _WIDTH, initial_indent="  ", subsequent_indent=" " * 13)

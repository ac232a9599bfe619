# SPDX-License-Identifier: Apache-2.0
"""Write what is made of the built-in rules' data files: ``python -m scripts.catalog``.

That is the JSON that is read at run time, ``daemon/src/varmor/catalog/rules.json``, and the reference page
``docs/reference/rules.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scripts.collection import ROOT
from varmor.catalog import source
from varmor.catalog.describe import form_lines, needs
from varmor.catalog.loader import DATA, catalog_of, rules_of
from varmor.catalog.types import Rule
from varmor.policy.types import Enforcer

PAGE = ROOT / "docs" / "reference" / "rules.md"

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by `python -m scripts.catalog` from daemon/src/varmor/catalog/rules/. -->
# Reference: the built-in rules

{count} rules. A policy names them in the lists of `spec.policy.enhanceProtect`; `varmor rules` shows the same on a node
(`varmor rules disable-shell`, `varmor rules --enforcer Seccomp --search mount`).

For each enforcer a rule has a form, or a reason why it has none. A policy needs at least one enforcer that has one.
**But** says what a form does not reach. The forms are those that refuse; with `allowViolations` they record instead.
"""

_TITLES = {
    "capability": "Capabilities",
    "cloud": "Clouds and clusters",
    "escape": "Ways out of a container",
    "information_leak": "Information leaks",
    "kernel_surface": "Attack surface of the kernel",
    "network": "Network",
    "program": "Programs",
    "sensitive_operation": "Sensitive operations",
    "vulnerability": "Vulnerabilities",
}


def page() -> str:
    """The whole reference page."""
    groups = {name: list(rules_of(entries, name)) for name, entries in source.files().items()}
    parts = [_HEAD.format(count=sum(map(len, groups.values())))]
    for name, rules in groups.items():
        parts.append(f"## {_TITLES[name]}\n")
        parts += _table(rules)
        for rule in rules:
            parts += _section(rule)
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(rules: list[Rule]) -> Iterator[str]:
    yield "| Rule | AppArmor | BPF | Seccomp | Blocks |\n|---|---|---|---|---|"
    for rule in rules:
        marks = " | ".join("yes" if enforcer in rule.enforcers else "" for enforcer in Enforcer)
        yield f"| [{rule.name}](#{rule.name}) | {marks} | {_cell(rule.summary)} |"
    yield ""


def _section(rule: Rule) -> Iterator[str]:
    yield f"### {rule.name}\n"
    yield f"{_cell(rule.summary)}\n"
    if rule.aliases:
        yield f"- Also: {', '.join(f'`{name}`' for name in rule.aliases)}"
    yield f"- List: `{rule.list.value}`"
    yield f"- Against: {_cell(rule.attack)}"
    if rule.cves:
        yield f"- CVEs: {', '.join(rule.cves)}"
    yield f"- Breaks: {_cell(rule.breaks)}"
    for enforcer in Enforcer:
        yield _enforcer(rule, enforcer)
    if rule.unit:
        yield f"- systemd units: {', '.join(f'`{directive}={value}`' for directive, value in rule.unit)}"
    yield ""


def _enforcer(rule: Rule, enforcer: Enforcer) -> str:
    (name,) = enforcer.names()
    if enforcer not in rule.enforcers:
        return f"- {name}: no form; {_cell(rule.reason(enforcer))}."
    asked = needs(rule, enforcer)
    text = f"- {name}{f' (needs {asked})' if asked else ''}: "
    text += "; ".join(f"`{line.rstrip(',')}`" for line in form_lines(rule, enforcer))
    limit = rule.limit(enforcer)
    return f"{text}. **But** {_cell(limit)}." if limit else f"{text}."


def _cell(text: str) -> str:
    """Text in which Markdown finds no markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def main() -> int:
    """Check the data files and write both."""
    catalog = catalog_of(rule for name, entries in source.files().items() for rule in rules_of(entries, name))
    DATA.write_text(source.data(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{len(catalog.rules)} rules: {DATA.name} and {PAGE.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())

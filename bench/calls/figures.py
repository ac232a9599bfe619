# SPDX-License-Identifier: Apache-2.0
"""Raw figures as a table: enforcer and number of rules down, operations across."""

from __future__ import annotations

from typing import Any

Configuration = tuple[str, int]
NONE: Configuration = ("none", 0)


def table(kernel: dict[str, Any]) -> dict[Configuration, dict[str, float]]:
    """Instructions of one operation in each configuration: the smallest of the repetitions, which interrupts did not
    disturb.
    """
    found: dict[Configuration, dict[str, float]] = {}
    for row in kernel["rows"]:
        found.setdefault((row["enforcer"], row["rules"]), {})[row["operation"]] = min(row["figures"])
    return found


def label(configuration: Configuration) -> str:
    """A configuration in words."""
    enforcer, rules = configuration
    if rules == 0:
        return f"{enforcer}, no rules" if enforcer == "varmor BPF" else enforcer
    return f"{enforcer}, {rules} rule{'s' if rules > 1 else ''}"

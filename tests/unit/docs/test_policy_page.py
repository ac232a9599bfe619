# SPDX-License-Identifier: Apache-2.0
"""The page docs/policy.md says what is true: its examples compile, its table is the catalog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from varmor.catalog.loader import load
from varmor.policy.parse import parse_policies
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts

_PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(_EXAMPLES) >= 4


@pytest.mark.parametrize("text", _EXAMPLES, ids=range(len(_EXAMPLES)))
def test_each_example_compiles_without_a_warning(text: str) -> None:
    for policy in parse_policies(text, "docs/policy.md"):
        assert compile_policy(policy, load(), NodeFacts()).no_effect == ()


def test_the_table_is_the_catalog() -> None:
    rows = []
    for rule in load().rules:
        also = f" (also {', '.join(f'`{alias}`' for alias in rule.aliases)})" if rule.aliases else ""
        rows.append(f"| `{rule.name}`{also} | {rule.list.value} | {', '.join(rule.enforcers.names())} |")
    assert "\n".join(rows) in _PAGE

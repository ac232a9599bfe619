# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.profile.test_seccomp_condition import cells, points
from varmor.profile.seccomp_condition import ALWAYS, cell_holds
from varmor.profile.seccomp_table import (
    ALLOW,
    LOG,
    Action,
    Rule,
    default_action,
    disjoint,
    make_action,
    read_table,
    write_entries,
)

DENY = make_action("SCMP_ACT_ERRNO", None)
actions = st.sampled_from([ALLOW, LOG, DENY, make_action("SCMP_ACT_ERRNO", 38), make_action("SCMP_ACT_KILL", None)])
rules_strategy = st.lists(st.tuples(cells, actions), max_size=4)


def strictest(rules: list[Rule], default: Action, point: tuple[int, ...]) -> Action:
    """The strictest action whose condition holds; the default when none does."""
    matching = [action for cell, action in rules if cell_holds(cell, point)]
    return max(matching, key=lambda action: action.strictness) if matching else default


@given(rules_strategy, st.sampled_from([ALLOW, DENY]), points)
def test_disjoint_decides_as_before(rules: list[Rule], default: Action, point: tuple[int, ...]) -> None:
    made, exact = disjoint(rules, default)
    before, after = strictest(rules, default, point), strictest(made, default, point)
    if exact:
        assert after.strictness == before.strictness
    if before.denies:
        assert after.denies


@given(rules_strategy, points)
def test_disjoint_never_lets_two_actions_meet(rules: list[Rule], point: tuple[int, ...]) -> None:
    made, exact = disjoint(rules, ALLOW)
    met = {action for cell, action in made if cell_holds(cell, point)}
    assert len(met) <= 1 or (not exact and all(action.denies for action in met))


@given(st.dictionaries(st.sampled_from(["mount", "clone", "read"]), rules_strategy))
def test_write_and_read(table: dict[str, list[Rule]]) -> None:
    written = {"syscalls": write_entries(table)}
    back = read_table(written)
    assert {name: set(rules) for name, rules in back.items()} == {
        name: set(rules) for name, rules in table.items() if rules
    }


def test_order_is_stable_and_names_are_joined() -> None:
    entries = write_entries({"b": [((), DENY)], "a": [((), DENY), ((), LOG)]})
    assert entries == [
        {"names": ["a", "b"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["a"], "action": "SCMP_ACT_LOG"},
    ]


def test_what_the_default_says_is_left_out() -> None:
    table = {"mount": [(ALWAYS, ALLOW), (ALWAYS, DENY)]}
    written = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": write_entries(table)}
    assert read_table(written) == {"mount": [(ALWAYS, DENY)]}


def test_two_conditions_on_one_argument_are_alternatives() -> None:
    entry = {
        "names": ["chmod"],
        "action": "SCMP_ACT_ERRNO",
        "args": [
            {"index": 1, "value": 64, "valueTwo": 64, "op": "SCMP_CMP_MASKED_EQ"},
            {"index": 1, "value": 8, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ"},
        ],
    }
    assert len(read_table({"syscalls": [entry]})["chmod"]) == 2


def test_malformed() -> None:
    with pytest.raises(ValueError, match="unknown seccomp action"):
        default_action({})
    with pytest.raises(ValueError, match="has no argument 6"):
        read_table(
            {"syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "x"}]}]}
        )

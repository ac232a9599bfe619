# SPDX-License-Identifier: Apache-2.0
"""Several enforcers switch like one: all get the new profile, or all keep the old one."""

from __future__ import annotations

import pytest

from tests.unit.node.fakes import MemoryEnforcer
from tests.unit.node.profiles import ALL, profile
from varmor.errors import VarmorError
from varmor.node.enforcement import Enforcement, EnforcementError
from varmor.policy.types import Enforcer


@pytest.fixture
def three() -> list[MemoryEnforcer]:
    return [
        MemoryEnforcer("AppArmor", Enforcer.APPARMOR),
        MemoryEnforcer("Seccomp", Enforcer.SECCOMP),
        MemoryEnforcer("BPF", Enforcer.BPF),
    ]


def enforcement(three: list[MemoryEnforcer], steps: list[str] | None = None) -> Enforcement:
    return Enforcement(list(three), (steps if steps is not None else []).append)


def test_switch_loads_everywhere_in_order(three: list[MemoryEnforcer]) -> None:
    steps: list[str] = []
    both = enforcement(three, steps)
    both.switch(profile("new"), None)
    assert steps == ["apply AppArmor", "apply Seccomp", "apply BPF"]
    assert both.holds(profile("new"))
    assert not both.holds(profile("other"))


@pytest.mark.parametrize("refusing", [0, 1, 2])
def test_a_refusal_gives_everyone_the_previous_profile_back(three: list[MemoryEnforcer], refusing: int) -> None:
    both = enforcement(three)
    both.switch(profile("old"), None)
    three[refusing].refuses.add("new")
    with pytest.raises(EnforcementError, match=f"{three[refusing].name}: syntax error, unexpected TOK_END_OF_RULE"):
        both.switch(profile("new"), profile("old"))
    assert all(enforcer.holds(profile("old")) for enforcer in three)


def test_a_refused_first_profile_leaves_nothing(three: list[MemoryEnforcer]) -> None:
    three[2].refuses.add("new")
    with pytest.raises(EnforcementError):
        enforcement(three).switch(profile("new"), None)
    assert [enforcer.has for enforcer in three] == [{}, {}, {}]


def test_an_enforcer_that_is_no_longer_asked_for_is_dropped(three: list[MemoryEnforcer]) -> None:
    both = enforcement(three)
    both.switch(profile("old"), None)
    both.switch(profile("new", enforcers=Enforcer.APPARMOR), profile("old"))
    assert [bool(enforcer.has) for enforcer in three] == [True, False, False]


def test_a_missing_enforcer_is_reported_with_its_reason_and_passed_over(three: list[MemoryEnforcer]) -> None:
    three[2].reason = "`bpf` is not in /sys/kernel/security/lsm"
    both = enforcement(three)
    assert both.available() == ALL & ~Enforcer.BPF
    assert both.missing(profile()) == {"BPF": "`bpf` is not in /sys/kernel/security/lsm"}
    both.switch(profile(), None)
    assert three[2].has == {}
    assert both.holds(profile())


def test_check_changes_nothing(three: list[MemoryEnforcer]) -> None:
    three[0].refuses.add("new")
    with pytest.raises(VarmorError, match="TOK_END_OF_RULE"):
        enforcement(three).check(profile("new"))
    assert enforcement(three).loaded() == set()


def test_unload_removes_everywhere(three: list[MemoryEnforcer]) -> None:
    both = enforcement(three)
    both.switch(profile(), None)
    assert both.loaded() == {"varmor-default-web"}
    both.unload("varmor-default-web")
    assert both.loaded() == set()

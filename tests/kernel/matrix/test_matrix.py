# SPDX-License-Identifier: Apache-2.0
"""Each built-in rule under each enforcer alone: the attack is stopped, the neighbour works, observation records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kernel.matrix.enforcement import Performance, Theatre
from tests.kernel.matrix.plays import play, refused, worked
from tests.kernel.matrix.scenario import Scenario, Stage, Step
from tests.kernel.matrix.scenarios import SCENARIOS
from tests.kernel.matrix.table import Cell, Table
from varmor.catalog.loader import load
from varmor.catalog.types import Rule
from varmor.policy.types import Enforcer
from varmor.profile.selection import obstacles
from varmor.profile.types import NodeFacts

_RULES = {rule.name: rule for rule in load().rules}
_CELLS = [
    pytest.param(rule.name, enforcer, id=f"{rule.name}-{enforcer.names()[0]}")
    for rule in load().rules
    for enforcer in (Enforcer.APPARMOR, Enforcer.BPF, Enforcer.SECCOMP)
]


def _steps(scenario: Scenario) -> dict[str, Step]:
    steps = {"attack": scenario.attack, "neighbour": scenario.neighbour}
    return steps | {way: scenario.way(way).step for way in scenario.evasions}


def test_each_rule_has_a_scenario() -> None:
    assert set(_RULES) - set(SCENARIOS) == set()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_everything_works_without_a_policy(name: str, props: dict[str, Any], tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    outcome = play(scenario, Stage(tmp_path, props), _steps(scenario), lambda: None, lambda: None)
    assert not outcome.failure, outcome.failure
    assert {step: result for step, result in outcome.results.items() if not worked(result)} == {}


@pytest.mark.parametrize(("name", "enforcer"), _CELLS)
def test_cell(name: str, enforcer: Enforcer, theatre: Theatre, table: Table, tmp_path: Path) -> None:
    rule, word = _RULES[name], enforcer.names()[0]
    table.put(name, word, Cell("failed", "see the test's report"))
    reason = _no_form(rule, enforcer, theatre.facts)
    if reason:
        table.put(name, word, Cell("none", reason))
        return
    scenario = SCENARIOS[name]
    enforced = theatre.perform(
        theatre.compile(rule, enforcer, observe=False), enforcer, scenario, _steps(scenario), tmp_path
    )
    few = {"attack": scenario.attack, "neighbour": scenario.neighbour}
    observed = theatre.perform(theatre.compile(rule, enforcer, observe=True), enforcer, scenario, few, tmp_path)
    faults = _enforcement_faults(enforced, scenario, enforcer) + _observation_faults(observed, scenario)
    passing = tuple(way for way in scenario.evasions if worked(enforced.outcome.results.get(way, "")))
    limits = rule.limit(enforcer)
    if passing and not limits:
        faults.append(f"not stopped by the form, and the catalog's limits do not say so: {', '.join(passing)}")
    assert not faults, f"{name} under {word}:\n" + "\n".join(faults)
    if scenario.empty:
        table.put(name, word, Cell("none", scenario.empty))
    else:
        table.put(name, word, Cell("stopped", limits, len(scenario.evasions) - len(passing), passing))


def _no_form(rule: Rule, enforcer: Enforcer, facts: NodeFacts) -> str:
    """Why there is nothing to test. An enforcer without a form owes a reason, which the catalog's own tests demand."""
    if enforcer not in rule.enforcers:
        return rule.reason(enforcer)
    return obstacles(rule, facts).get(enforcer, "")


def _enforcement_faults(enforced: Performance, scenario: Scenario, enforcer: Enforcer) -> list[str]:
    if enforced.outcome.failure:
        return [f"enforced: {enforced.outcome.failure}"]
    faults = []
    for step, result in enforced.outcome.results.items():
        if step in scenario.evasions and not scenario.reaches(step, enforcer):
            continue
        free = step == "neighbour" or bool(scenario.empty)
        if free and not worked(result):
            faults.append(f"enforced, {step}: expected to work, ended with {result}")
        if not free and not refused(result, scenario):
            faults.append(f"enforced, {step}: expected to be refused, ended with {result}")
    if not enforced.denied and not scenario.empty:
        faults.append("enforced: no record of a denial")
    if enforced.let_pass:
        faults.append(f"enforced: recorded as let pass: {enforced.let_pass[:3]}")
    return faults


def _observation_faults(observed: Performance, scenario: Scenario) -> list[str]:
    if observed.outcome.failure:
        return [f"observed: {observed.outcome.failure}"]
    faults = [
        f"observed, {step}: expected to work, ended with {result}"
        for step, result in observed.outcome.results.items()
        if not worked(result)
    ]
    if not observed.let_pass and not scenario.empty:
        faults.append("observed: no record of what was let pass")
    if observed.denied:
        faults.append(f"observed: recorded as denied: {observed.denied[:3]}")
    return faults

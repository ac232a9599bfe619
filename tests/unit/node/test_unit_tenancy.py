# SPDX-License-Identifier: Apache-2.0
"""Units get a drop-in and a bound cgroup, and lose both with their policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.fakes import MemoryBinder, MemoryProcesses, MemoryUnits
from tests.unit.node.profiles import ALL, KEY, profile
from varmor.node.policy_state import PolicyState
from varmor.node.store import Revision, RevisionState, Store
from varmor.node.unit_tenancy import UnitTenancy
from varmor.policy.types import Enforcer, Mode, Policy, Target, TargetKind

UNIT = "nginx.service"
PATH = "/system.slice/nginx.service"


def state() -> PolicyState:
    compiled = profile()
    policy = Policy(KEY, Target(TargetKind.UNIT, name=UNIT), ALL, Mode.ENHANCE_PROTECT)
    return PolicyState(KEY, policy, "f", Revision(1, compiled.digest, RevisionState.ACTIVE, compiled, {}, "f", ""))


class Node:
    """Unit tenancy over stand-ins."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path / "state.db")
        self.units = MemoryUnits()
        self.processes = MemoryProcesses()
        self.binder = MemoryBinder()
        self.tenancy = UnitTenancy(self.store, self.units, self.processes, self.binder)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.store.close()


def test_a_stopped_unit_is_bound_by_path_and_gets_its_drop_in(node: Node) -> None:
    node.tenancy.settle([state()], ALL)
    assert node.units.written[UNIT].directives == (("AppArmorProfile", "varmor-default-web"),)
    assert node.units.reloads == 1
    assert node.binder.units == {PATH: ("varmor-default-web", 1)}
    assert node.binder.adoptions == 0


def test_a_running_unit_is_bound_at_once_and_only_once(node: Node) -> None:
    node.units.pids[UNIT] = 70
    node.tenancy.settle([state()], ALL)
    node.tenancy.settle([state()], ALL)
    assert node.binder.units == {PATH: ("varmor-default-web", 1)}
    assert node.binder.adoptions == 1
    assert node.units.reloads == 1


def test_the_end_of_a_policy_takes_everything_away(node: Node) -> None:
    node.units.pids[UNIT] = 70
    node.tenancy.settle([state()], ALL)
    node.tenancy.settle([], ALL)
    assert node.units.written == {}
    assert node.units.reloads == 2
    assert node.binder.units == {}
    assert node.tenancy.current() == []


def test_without_apparmor_the_drop_in_does_not_name_a_profile(node: Node) -> None:
    node.tenancy.settle([state()], Enforcer.BPF)
    assert node.units.written[UNIT].directives == ()


def test_a_unit_that_fails_is_said(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.units.refuses.add(UNIT)
    node.tenancy.settle([state()], ALL)
    assert node.tenancy.errors == {UNIT: "no such unit"}
    assert "unit nginx.service: no such unit" in caplog.text


def test_report_of_stopped_and_running_units(node: Node) -> None:
    node.tenancy.settle([state()], ALL)
    (tenant,) = node.tenancy.current()
    assert node.tenancy.report(tenant, profile()).enforcers == dict.fromkeys(
        ("AppArmor", "BPF", "Seccomp"), "enforced-at-start"
    )
    node.units.pids[UNIT] = 70
    node.processes.labels[70] = "varmor-default-web (enforce)"
    report = node.tenancy.report(tenant, profile())
    assert report.running
    assert report.enforcers == {"AppArmor": "enforced", "BPF": "enforced", "Seccomp": "needs-restart"}

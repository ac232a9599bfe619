# SPDX-License-Identifier: Apache-2.0
"""Containers get the profile of their policy, at creation or as soon as they are found, and lose it at their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node.fakes import MemoryBinder, MemoryContainers, MemoryProcesses
from tests.unit.node.profiles import ALL, KEY, profile
from varmor.node.policy_state import PolicyState
from varmor.node.store import Revision, RevisionState, Store
from varmor.node.tenancy import Tenancy
from varmor.policy.types import Enforcer, Mode, Policy, Target, TargetKind


def state(target: str = "web*", text: str = "one", enforcers: Enforcer = ALL) -> PolicyState:
    compiled = profile(text, enforcers)
    policy = Policy(KEY, Target(TargetKind.CONTAINER, name=target), enforcers, Mode.ENHANCE_PROTECT)
    revision = Revision(1, compiled.digest, RevisionState.ACTIVE, compiled, {}, "web.yaml", "")
    return PolicyState(KEY, policy, "web.yaml", revision)


def fit(runtime: str, seccomp: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A runtime that takes everything."""
    del runtime
    return seccomp, ()


class Node:
    """A tenancy over stand-ins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path / "state.db")
        self.containers = MemoryContainers()
        self.processes = MemoryProcesses()
        self.binder = MemoryBinder()
        self.tenancy = Tenancy(self.store, self.containers, self.processes, self.binder, fit)
        self.tenancy.use([state()], ALL)
        self.binder.slots["varmor-default-web"] = "digest"

    def bundle(self, name: str, config: object = None) -> Path:
        bundle = self.path / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(config or {"linux": {}}))
        return bundle


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.store.close()


def test_create_decides_and_created_binds_with_the_entrypoint_spared(node: Node) -> None:
    bundle = node.bundle("web1")
    decision = node.tenancy.create(bundle, "web1")
    assert decision.apparmor == "varmor-default-web"
    assert decision.seccomp is not None
    assert node.tenancy.created(bundle, "web1", 50)
    assert node.binder.cgroups == {1050: ("varmor-default-web", 1, True)}


def test_others_get_nothing(node: Node) -> None:
    bundle = node.bundle("db")
    assert node.tenancy.create(bundle, "db").profile is None
    assert not node.tenancy.created(bundle, "db", 50)
    assert node.tenancy.create(node.bundle("sandbox-web"), "sandbox-web").profile is None
    assert node.tenancy.current() == []


def test_an_enforcer_that_the_node_lacks_is_not_written_into_the_bundle(node: Node) -> None:
    node.tenancy.use([state()], Enforcer.BPF)
    decision = node.tenancy.create(node.bundle("web1"), "web1")
    assert (decision.apparmor, decision.seccomp) == (None, None)


def test_a_container_found_running_is_bound_and_its_tasks_adopted(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    assert node.binder.cgroups == {1060: ("varmor-default-web", 1, False)}
    assert node.binder.adoptions == 1
    node.tenancy.scan()
    assert node.binder.adoptions == 1


def test_a_container_between_create_and_start_is_not_let_go(node: Node) -> None:
    node.tenancy.create(node.bundle("web1"), "web1")
    node.tenancy.scan()
    assert len(node.tenancy.current()) == 1


def test_a_container_whose_entrypoint_waits_keeps_its_binding(node: Node) -> None:
    bundle = node.bundle("web1")
    node.tenancy.create(bundle, "web1")
    node.tenancy.created(bundle, "web1", 50)
    node.tenancy.scan()
    assert node.binder.cgroups == {1050: ("varmor-default-web", 1, True)}


def test_a_container_that_is_gone_leaves_nothing_behind(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    node.containers.live.clear()
    node.processes.ended.add(60)
    node.tenancy.scan()
    assert node.binder.cgroups == {}
    assert node.binder.namespaces_forgotten == [2060]
    assert node.tenancy.current() == []


def test_a_container_on_the_hosts_mounts_is_bound_as_one(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.containers.start("web2", 1, node.path)
    node.tenancy.scan()
    assert node.binder.sharing_host_mounts == {1001}


def test_deleted_lets_go_at_once(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    node.processes.ended.add(60)
    node.tenancy.deleted("web1")
    assert node.binder.cgroups == {}


def test_a_late_deletion_does_not_reach_the_next_container_of_that_id(node: Node) -> None:
    bundle = node.bundle("web1")
    node.tenancy.create(bundle, "web1")
    node.tenancy.deleted("web1")
    node.tenancy.created(bundle, "web1", 50)
    node.tenancy.deleted("web1")
    (tenant,) = node.tenancy.current()
    assert node.tenancy.enforced_on(tenant, profile("one"))["Seccomp"] == "enforced"


def test_a_policy_that_no_longer_matches_frees_the_container(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    node.tenancy.use([state(target="other")], ALL)
    node.tenancy.scan()
    assert node.binder.cgroups == {}


def test_a_restart_under_the_same_name_is_bound_anew(node: Node) -> None:
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    node.containers.start("web1", 61, node.path)
    node.tenancy.scan()
    assert 1061 in node.binder.cgroups


def test_without_bpf_in_the_policy_an_empty_slot_still_attributes(node: Node) -> None:
    node.binder.slots.clear()
    node.tenancy.use([state(enforcers=Enforcer.APPARMOR)], ALL)
    node.containers.start("web1", 60, node.path)
    node.tenancy.scan()
    assert node.binder.slots == {"varmor-default-web": ""}
    assert 1060 in node.binder.cgroups


def test_report_says_what_needs_a_restart(node: Node) -> None:
    bundle = node.bundle("web1")
    node.tenancy.create(bundle, "web1")
    node.tenancy.created(bundle, "web1", 50)
    (tenant,) = node.tenancy.current()
    compiled = profile("one")
    assert node.tenancy.enforced_on(tenant, compiled) == {
        "AppArmor": "needs-restart",
        "BPF": "enforced",
        "Seccomp": "enforced",
    }
    node.processes.labels[50] = "varmor-default-web (enforce)"
    newer = profile("one", seccomp={"defaultAction": "SCMP_ACT_LOG"})
    assert node.tenancy.enforced_on(tenant, newer) == {
        "AppArmor": "enforced",
        "BPF": "enforced",
        "Seccomp": "needs-restart",
    }


def test_without_the_bpf_enforcer_nothing_is_bound(node: Node) -> None:
    plain = Tenancy(node.store, node.containers, node.processes, None, fit)
    plain.use([state()], Enforcer.APPARMOR)
    node.containers.start("web1", 60, node.path)
    plain.scan()
    (tenant,) = plain.current()
    assert plain.enforced_on(tenant, profile("one"))["BPF"] == "unavailable"

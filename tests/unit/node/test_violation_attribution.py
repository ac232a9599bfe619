# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.unit.node.violation_examples import PROFILE, UNIT, attributor, tenant
from varmor.node.violation_record import Attribution

OURS = [PROFILE.name]


def test_the_kernels_table_knows_processes_that_have_ended() -> None:
    owner = attributor(tenant(), tenant(2, UNIT), numbers={9: 1}).by_pid(9, OURS)
    assert owner is not None
    assert owner.tenant is not None
    assert (owner.tenant.number, owner.attribution) == (1, Attribution.KERNEL)
    assert owner.mount_namespace == owner.tenant.mount_namespace


def test_a_pid_that_was_used_again_is_not_believed() -> None:
    other = attributor(tenant(), numbers={9: 1})
    assert other.by_pid(9, ["varmor-default-other"]) is None


def test_live_processes_by_their_cgroup_or_one_above() -> None:
    owner = attributor(tenant(), tenant(2, UNIT, cgroup=600), groups={9: [601, 600, 1]}).by_pid(9, OURS)
    assert owner is not None
    assert owner.tenant is not None
    assert (owner.tenant.number, owner.attribution, owner.mount_namespace) == (2, Attribution.CGROUP, 77)


def test_the_profile_is_enough_when_one_carries_it() -> None:
    owner = attributor(tenant(), tenant(2, UNIT, ended=5.0)).by_pid(9, OURS)
    assert owner is not None
    assert owner.tenant is not None
    assert (owner.tenant.number, owner.attribution) == (1, Attribution.PROFILE)


def test_with_two_carriers_the_container_stays_unknown() -> None:
    owner = attributor(tenant(), tenant(2, UNIT)).by_pid(9, OURS)
    assert owner is not None
    assert owner.tenant is None


def test_the_last_carrier_that_ended_is_remembered() -> None:
    owner = attributor(tenant(ended=5.0)).by_pid(9, OURS)
    assert owner is not None
    assert owner.tenant is not None


@pytest.mark.parametrize("profiles", [[], ["varmor-foreign"]])
def test_strangers_are_nobody(profiles: list[str]) -> None:
    assert attributor(tenant()).by_pid(9, profiles) is None


def test_seccomp_without_a_label_needs_the_process() -> None:
    owner = attributor(tenant(), groups={9: [500]}).by_pid(9, [])
    assert owner is not None
    assert owner.attribution is Attribution.CGROUP


def test_an_ended_tenant_has_no_cgroup_any_more() -> None:
    assert attributor(tenant(ended=5.0), groups={9: [500]}).by_pid(9, []) is None


def test_bpf_events_name_the_tenant() -> None:
    found = attributor(tenant(3))
    owner = found.by_number(3, 88)
    assert owner is not None
    assert (owner.mount_namespace, owner.attribution) == (88, Attribution.KERNEL)
    assert found.by_number(4) is None


def test_policies_by_profile() -> None:
    assert attributor().policy(PROFILE.name) == PROFILE.policy
    assert attributor().policy("varmor-x") is None

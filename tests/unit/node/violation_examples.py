# SPDX-License-Identifier: Apache-2.0
"""Tenants, profiles and violations for the tests of this folder."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from varmor.kernel.bpf.events import BpfEvent, RefusedCall
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.node.store import Tenant
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_record import Action, Violation
from varmor.policy.types import Enforcer, Mode, PolicyKey, PolicyKind
from varmor.policy.workload import Workload, WorkloadKind
from varmor.profile.types import Profile

KEY = PolicyKey(PolicyKind.VARMOR_POLICY, "default", "web")
PROFILE = Profile("varmor-default-web", KEY, Mode.ENHANCE_PROTECT, Enforcer.APPARMOR)
WEB = Workload(
    WorkloadKind.CONTAINER,
    "containerd/default/web",
    "web",
    image="nginx:1",
    container_id="c0ffee",
    pod_name="web-0",
    pod_namespace="shop",
    pod_uid="u-1",
)
UNIT = Workload(WorkloadKind.UNIT, "nginx.service", "nginx.service")


def tenant(number: int = 1, workload: Workload = WEB, *, cgroup: int = 500, ended: float | None = None) -> Tenant:
    """A tenant of PROFILE."""
    return Tenant(number, workload, PROFILE.name, cgroup, 4026531000 + number, 100 + number, "", 1.0, ended)


class Groups:
    """Live processes: pid -> cgroup inodes."""

    def __init__(self, groups: dict[int, list[int]] | None = None) -> None:
        self.groups = groups or {}

    def cgroup_ids(self, pid: int) -> list[int]:
        return self.groups.get(pid, [])

    def mount_namespace(self, pid: int) -> int:
        return 77 if pid in self.groups else 0


def attributor(
    *tenants: Tenant, numbers: dict[int, int] | None = None, groups: dict[int, list[int]] | None = None
) -> Attributor:
    """An attributor that knows these tenants, the kernel's table and live processes."""
    found = Attributor((numbers or {}).get, Groups(groups))
    found.update(tenants, [PROFILE])
    return found


NUMBERS = {"mount": 165, "unshare": 272, "clone3": 435}


def seccomp_event(name: str, *arguments: int, error: int = 1) -> BpfEvent:
    """A refused call in WEB, as the kernel's hook tells it."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    return BpfEvent(
        boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        tgid=9,
        tid=10,
        uid=33,
        comm="sh",
        workload=1,
        slot=PROFILE.name,
        cgroup_id=500,
        mount_namespace=88,
        hook=Hook.SECCOMP,
        verdict=Verdict.DENIED,
        call=RefusedCall(NUMBERS[name], 0xC000003E, padded, error),
    )


def violation(**facts: Any) -> Violation:
    """A denial in WEB."""
    example = Violation(
        enforcer="BPF",
        action=Action.DENIED,
        profile=PROFILE.name,
        pid=12,
        timestamp=1700000000.75,
        event={"operation": "file_open", "permissions": ["write"], "path": "/etc/x"},
        key=("file_open", "/etc/x"),
        summary="write /etc/x",
        comm="sh",
        workload=WEB,
        policy=KEY,
        mount_namespace=77,
    )
    return replace(example, **facts)

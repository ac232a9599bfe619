# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from tests.unit.node.violation_examples import KEY, PROFILE, WEB, Groups, seccomp_event, tenant
from varmor.kernel.bpf.events import BpfEvent
from varmor.kernel.bpf.layout import Hook, Reason, Verdict
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_bpf import BpfViolations
from varmor.node.violation_record import Action, Attribution, Violation
from varmor.policy.types import SyscallArg
from varmor.profile.types import (
    Access,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    MountRule,
    PathRule,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
    SyscallRefusal,
)

RULES = BpfProfile(
    paths=(PathRule("/etc/**", Access.WRITE, deny=True, audit=True, origin="disable-write-etc"),),
    egress=(EgressRule(ip_network("169.254.169.254/32"), ((80, 80),), True, True, "block-metadata"),),
    mounts=(MountRule("**", "*", 1, 1, True, True, "disallow-mount"),),
    capabilities=(CapabilityRule(1 << 13, True, True, "disable-cap-net-raw"),),
    switches=(SwitchRule("userns_create", True, True, "disallow-create-user-ns"),),
    sockets=(SocketRule(1 << 2, 0, SocketProtocol.TCP, True, True, "disable-tcp"),),
    ptrace=(
        PtraceRule(PtracePermission.READ | PtracePermission.READ_BY, True, True, True, "ptrace-everywhere"),
        PtraceRule(PtracePermission.READ, False, True, True, "ptrace-across"),
    ),
)
EVENT = BpfEvent(
    boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME), tgid=9, tid=10, uid=33, comm="sh", workload=1,
    slot=PROFILE.name, cgroup_id=500, mount_namespace=88, hook=Hook.FILE_OPEN, verdict=Verdict.DENIED, path="/etc/x",
    access=Access.WRITE,
)  # fmt: skip


NEWUSER = 0x10000000
REFUSED = (
    SyscallRefusal(("mount", "fsopen"), (), "disallow-mount"),
    SyscallRefusal(("unshare",), (SyscallArg(0, NEWUSER, "SCMP_CMP_MASKED_EQ", NEWUSER),), "disallow-create-user-ns"),
)


def made(bpf: BpfViolations, event: BpfEvent) -> Violation:
    found = bpf.violation(event)
    assert found is not None
    return found


@pytest.fixture
def bpf() -> BpfViolations:
    attributor = Attributor(lambda _pid: None, Groups())
    attributor.update([tenant()], [replace(PROFILE, bpf=RULES, refused_syscalls=REFUSED)])
    return BpfViolations(attributor)


def test_files(bpf: BpfViolations) -> None:
    found = made(bpf, EVENT)
    assert (found.enforcer, found.action, found.workload, found.policy) == ("BPF", Action.DENIED, WEB, KEY)
    assert (found.pid, found.mount_namespace, found.attribution) == (9, 88, Attribution.KERNEL)
    assert abs(found.timestamp - time.time()) < 30
    assert (found.event["operation"], found.event["permissions"], found.event["path"]) == (
        "file_open",
        ["write"],
        "/etc/x",
    )
    assert found.event["rule"] == "disable-write-etc"
    assert found.summary == "file open write /etc/x"


def test_recorded_only(bpf: BpfViolations) -> None:
    assert made(bpf, replace(EVENT, verdict=Verdict.AUDIT)).action is Action.AUDIT


@pytest.mark.parametrize(
    ("change", "event", "rule"),
    [
        ({"hook": Hook.CAPABLE, "capability": 13}, {"capability": "CAP_NET_RAW"}, "disable-cap-net-raw"),
        (
            {"hook": Hook.CONNECT, "address": ip_address("169.254.169.254"), "port": 80},
            {"type": "connect", "address": {"ip": "169.254.169.254", "port": 80}},
            "block-metadata",
        ),
        (
            {"hook": Hook.MOUNT, "path": "/dev/sda", "fstype": "ext4", "mount_flags": 1 | 4096},
            {"path": "/dev/sda", "type": "ext4", "flags": ["ro", "bind"]},
            "disallow-mount",
        ),
        (
            {"hook": Hook.OPERATION, "operation": "userns_create"},
            {"operation": "userns_create"},
            "disallow-create-user-ns",
        ),
        ({"hook": Hook.CONNECT, "address": ip_address("::1"), "port": 1}, {"address": {"ip": "::1", "port": 1}}, ""),
        ({"hook": Hook.CAPABLE, "capability": 63}, {"capability": "CAP_63"}, ""),
    ],
)
def test_the_other_kinds(bpf: BpfViolations, change: dict[str, object], event: dict[str, object], rule: str) -> None:
    bare = replace(EVENT, path="", access=Access(0))
    found = made(bpf, replace(bare, **change))  # type: ignore[arg-type]
    assert found.event.items() >= event.items()
    assert found.event["rule"] == rule


def test_what_could_not_be_judged_says_why(bpf: BpfViolations) -> None:
    found = made(bpf, replace(EVENT, reason=Reason.PATH_TOO_LONG))
    assert found.event["reason"] == "the path is too long to be judged"


def test_a_workload_that_is_forgotten_keeps_its_profile(bpf: BpfViolations) -> None:
    found = made(bpf, replace(EVENT, workload=99))
    assert (found.workload, found.profile, found.policy) == (None, PROFILE.name, KEY)
    assert found.attribution is Attribution.PROFILE


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (seccomp_event("mount"), ("mount", "errno", "EPERM", "disallow-mount")),
        (seccomp_event("unshare", NEWUSER), ("unshare", "errno", "EPERM", "disallow-create-user-ns")),
        (seccomp_event("mount", error=0), ("mount", "trap", "", "disallow-mount")),
        (seccomp_event("mount", error=600), ("mount", "errno", "600", "disallow-mount")),
    ],
)
def test_a_refused_call(bpf: BpfViolations, event: BpfEvent, words: tuple[str, ...]) -> None:
    found = made(bpf, event)
    assert (found.enforcer, found.action, found.workload, found.policy) == ("Seccomp", Action.DENIED, WEB, KEY)
    assert tuple(found.event[name] for name in ("syscall", "action", "errno", "rule")) == words
    assert (found.event["pid"], found.event["comm"], found.event["exe"], found.event["auditID"]) == (9, "sh", "", "")
    assert found.summary == f"syscall {words[0]}"


@pytest.mark.parametrize("event", [seccomp_event("unshare", 0x20000), seccomp_event("clone3", error=38)])
def test_calls_that_our_filter_does_not_refuse(bpf: BpfViolations, event: BpfEvent) -> None:
    assert bpf.violation(event) is None


def test_a_refused_call_of_a_profile_that_is_gone(bpf: BpfViolations) -> None:
    assert bpf.violation(replace(seccomp_event("mount"), slot="varmor-gone")) is None

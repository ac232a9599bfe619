# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from varmor.kernel.bpf.events import BpfEvent, NewSocket, OtherProcess
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.node.violation_origin import origin
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    ExecutableRules,
    MountRule,
    PathRule,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
)

EVENT = BpfEvent(
    boot_ns=0, tgid=1, tid=1, uid=0, comm="sh", workload=1, slot="s", cgroup_id=1, mount_namespace=1,
    hook=Hook.MOUNT, verdict=Verdict.DENIED,
)  # fmt: skip
UMOUNT, BIND, REMOUNT = 0x200, 4096, 32
NEW = 0xFFFFFFFF & ~UMOUNT


def mount(
    name: str, source: str = "**", fstype: str = "*", flags: int = NEW, reverse: int = NEW, target: str = "**"
) -> MountRule:
    return MountRule(source, fstype, flags, reverse, deny=True, audit=True, origin=name, target=target)


MOUNTS = BpfProfile(
    mounts=(
        mount("bind-etc", "/etc{,/**}", "none", BIND | REMOUNT, 0),
        mount("on-srv", target="/srv/**", fstype="tmpfs"),
        mount("proc", fstype="proc"),
        mount("umount", fstype="none", flags=UMOUNT, reverse=0),
    )
)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"path": "/etc/apt", "target": "/x", "fstype": "none", "mount_flags": BIND}, "bind-etc"),
        ({"path": "/var", "target": "/etc", "fstype": "none", "mount_flags": BIND}, ""),
        ({"path": "lie", "target": "/etc", "fstype": "none", "mount_flags": BIND | REMOUNT}, "bind-etc"),
        ({"path": "none", "target": "/srv/a", "fstype": "tmpfs"}, "on-srv"),
        ({"path": "none", "target": "/mnt", "fstype": "tmpfs"}, ""),
        ({"fstype": "proc"}, "proc"),
        ({"hook": Hook.UMOUNT, "path": "/a", "target": "/a", "fstype": "none", "mount_flags": UMOUNT}, "umount"),
    ],
)
def test_mounts(change: dict[str, object], found: str) -> None:
    assert origin(replace(EVENT, **change), MOUNTS) == found  # type: ignore[arg-type]


def test_rules_of_a_program() -> None:
    child = BpfProfile(sockets=(SocketRule(0, 1 << 3, SocketProtocol(0), True, True, "raw"),))
    profile = BpfProfile(
        sockets=(SocketRule(1 << 1, 0, SocketProtocol(0), True, True, "unix"),),
        executables=(ExecutableRules(("/bin/ping",), child),),
    )
    event = replace(EVENT, hook=Hook.SOCKET, socket=NewSocket(2, 3, SocketProtocol.ICMP))
    assert origin(event, profile) == "raw"
    assert origin(replace(event, socket=NewSocket(1, 1, SocketProtocol.OTHER)), profile) == "unix"


KINDS: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"hook": Hook.CAPABLE, "capability": 3}, {"capabilities": (CapabilityRule(8, True, True, "rule"),)}),
    (
        {"hook": Hook.CONNECT, "address": ip_address("10.0.0.1"), "port": 5},
        {"egress": (EgressRule(ip_network("10.0.0.0/8"), ((5, 5),), True, True, "rule"),)},
    ),
    ({"path": "/a", "target": "/b", "fstype": "ext4"}, {"mounts": (mount("rule"),)}),
    (
        {"hook": Hook.SOCKET, "socket": NewSocket(16, 3, SocketProtocol.OTHER)},
        {"sockets": (SocketRule(1 << 16, 0, SocketProtocol(0), True, True, "rule"),)},
    ),
    (
        {"hook": Hook.PTRACE, "process": OtherProcess(PtracePermission.TRACE, 5)},
        {"ptrace": (PtraceRule(PtracePermission.TRACE, False, True, True, "rule"),)},
    ),
    ({"hook": Hook.OPERATION, "operation": "kexec"}, {"switches": (SwitchRule("kexec", True, True, "rule"),)}),
    (
        {"hook": Hook.FILE_OPEN, "path": "/a", "access": Access.READ},
        {"paths": (PathRule("/a", Access.READ, True, True, "rule"),)},
    ),
]


@pytest.mark.parametrize(("change", "rules"), KINDS, ids=[next(iter(rules)) for _, rules in KINDS])
def test_each_kind_by_rule_by_default_and_not_at_all(change: dict[str, object], rules: dict[str, object]) -> None:
    event = replace(EVENT, **change)  # type: ignore[arg-type]
    profile = BpfProfile(**rules)  # type: ignore[arg-type]
    assert origin(event, profile) == "rule"
    assert origin(event, BpfProfile()) == ""
    assert origin(event, BpfProfile(allow=AllowList(deny=True, audit=True))) == "allow-list"
    assert origin(event, BpfProfile(allow=AllowList(deny=False, audit=True))) == ""
    assert origin(replace(event, verdict=Verdict.AUDIT), BpfProfile(allow=AllowList(False, True))) == "allow-list"

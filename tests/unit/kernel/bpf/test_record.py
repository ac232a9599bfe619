# SPDX-License-Identifier: Apache-2.0
"""Tables as the fields of a record, read as the programs in the kernel read them."""

from __future__ import annotations

from varmor.kernel.bpf.layout import KernelAutomaton, ProfileRecord
from varmor.kernel.bpf.record import fill_automata, fill_rules
from varmor.profile.tables import encode
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    CapabilityRule,
    ExecutableRules,
    MountRule,
    PathRule,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
)


def _profile() -> BpfProfile:
    return BpfProfile(
        paths=(
            PathRule("/a/**", Access.READ, deny=True, audit=False, origin="t"),
            PathRule("/**/b", Access.EXEC, deny=True, audit=True, origin="t"),
        ),
        mounts=(MountRule("**", "proc", 1, 2, deny=True, audit=False, origin="t"),),
        capabilities=(CapabilityRule(1 << 40, deny=True, audit=True, origin="t"),),
        switches=(SwitchRule("kexec", deny=True, audit=False, origin="t"),),
        sockets=(SocketRule(1 << 40, 1 << 3, SocketProtocol.ICMP, deny=True, audit=True, origin="t"),),
        ptrace=(PtraceRule(PtracePermission.READ, everywhere=True, deny=True, audit=False, origin="t"),),
        allow=AllowList(
            deny=False,
            audit=True,
            capabilities=(1 << 64) - 1,
            mounts=(MountRule("/s", "*", 4, 8, deny=False, audit=False, origin="t"),),
            sockets=(SocketRule(0, 0, SocketProtocol(0), deny=False, audit=False, origin="t"),),
        ),
        executables=(ExecutableRules(("/bin/x",), BpfProfile()),),
    )


def test_rules_become_fields() -> None:
    record = ProfileRecord()
    fill_rules(record, encode(_profile()))
    assert (record.capabilities_deny, record.capabilities_audit) == (1 << 40, 1 << 40)
    assert (record.switches_deny, record.switches_audit) == (0x2000, 0x3FFF)
    assert (record.paths_default_deny, record.paths_default_audit) == (0, 31)
    assert (record.mounts_default, record.sockets_default) == (2, 2)
    assert (record.ptrace_deny, record.ptrace_deny_all, record.ptrace_audit, record.ptrace_audit_all) == (2, 2, 15, 0)
    assert (record.children, record.mounts, record.sockets) == (1, 2, 2)
    mounts = [(rule.flags, rule.reverse, rule.deny, rule.audit, rule.allow, rule.fstype) for rule in record.mount[:2]]
    assert mounts == [(1, 2, 1, 0, 0, b"proc"), (4, 8, 0, 0, 1, b"*")]
    sockets = [
        (rule.domains, rule.types, rule.protocols, rule.deny, rule.audit, rule.allow) for rule in record.socket[:3]
    ]
    assert sockets == [(1 << 40, 8, 1, 1, 1, 0), (0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 0)]


def test_automata_stand_where_the_programs_look() -> None:
    record = ProfileRecord()
    tables = encode(_profile())
    assert len(tables.automata) == 2
    fill_automata(record, tables, [KernelAutomaton(1000 + number, number) for number in range(5)])
    assert record.pairs == 1
    assert [(pair.a.start, pair.b.start) for pair in record.pair[:2]] == [(1000, 1001), (0, 0)]
    assert (record.mount_source.a.start, record.mount_target.a.start) == (1002, 1003)
    assert (record.executables.a.start, record.executables.a.classes) == (1004, 4)
    assert record.executables.b.start == 0


def test_automata_that_are_not_there_match_nothing() -> None:
    record = ProfileRecord()
    tables = encode(BpfProfile(executables=_profile().executables))
    fill_automata(record, tables, [KernelAutomaton(600, 1)])
    assert (record.pairs, record.mount_source.a.start, record.mount_target.a.start) == (0, 0, 0)
    assert record.executables.a.start == 600

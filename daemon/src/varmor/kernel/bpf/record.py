# SPDX-License-Identifier: Apache-2.0
"""Tables of a profile as the fields of its record in the kernel."""

from __future__ import annotations

from collections.abc import Sequence

from varmor.kernel.bpf.layout import KernelAutomaton, ProfileRecord
from varmor.profile.tables import Tables

_AS_THEY_ARE = (
    "capabilities_deny",
    "capabilities_audit",
    "switches_deny",
    "switches_audit",
    "paths_deny",
    "paths_audit",
    "paths_default_deny",
    "paths_default_audit",
    "mounts_default",
    "sockets_default",
    "ptrace_deny",
    "ptrace_audit",
    "ptrace_deny_all",
    "ptrace_audit_all",
)


def fill_rules(record: ProfileRecord, tables: Tables) -> None:
    """All that does not lie in other maps."""
    for field in _AS_THEY_ARE:
        setattr(record, field, int(getattr(tables, field)))
    record.children = len(tables.children)
    record.mounts = len(tables.mounts)
    for mount, rule in zip(tables.mounts, record.mount, strict=False):
        rule.flags, rule.reverse, rule.fstype = mount.flags, mount.reverse, mount.fstype.encode()
        rule.deny, rule.audit, rule.allow = int(mount.deny), int(mount.audit), int(mount.allow)
    record.sockets = len(tables.sockets)
    for socket, entry in zip(tables.sockets, record.socket, strict=False):
        entry.domains, entry.types, entry.protocols = socket.domains, socket.types, socket.protocols
        entry.deny, entry.audit, entry.allow = int(socket.deny), int(socket.audit), int(socket.allow)


def fill_automata(record: ProfileRecord, tables: Tables, located: Sequence[KernelAutomaton]) -> None:
    """Where the automata lie, in the order of :attr:`Tables.all_automata`."""
    remaining = iter(located)
    record.pairs = (len(tables.automata) + 1) // 2
    for index in range(len(tables.automata)):
        pair = record.pair[index // 2]
        if index % 2:
            pair.b = next(remaining)
        else:
            pair.a = next(remaining)
    for automaton, field in (
        (tables.mount_source, record.mount_source),
        (tables.mount_target, record.mount_target),
        (tables.executables, record.executables),
    ):
        if automaton is not None:
            field.a = next(remaining)

# SPDX-License-Identifier: Apache-2.0
"""The rules of the BPF enforcer as tables: what the programs in the kernel read, before it has a place in the maps.

The limits here are those of daemon/bpf/varmor.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag

from varmor.profile.automaton import Automaton
from varmor.profile.egress import NetworkEntry, fold
from varmor.profile.glob import regex
from varmor.profile.table_automata import (
    MAP_PROGRAM,
    MAX_AUTOMATA,
    ProfileTooComplexError,
    executable_automaton,
    executable_number,
    executable_numbers,
    mount_automaton,
    path_automata,
    refused_access,
    with_map,
)
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    ExecutableRules,
    MountRule,
    PtracePermission,
    SocketRule,
)

__all__ = [
    "ALLOW_LIST",
    "FSTYPE_BYTES",
    "MAP_PROGRAM",
    "MAX_AUTOMATA",
    "MAX_MOUNT_RULES",
    "MAX_PORT_RANGES",
    "MAX_SOCKET_RULES",
    "SWITCHES",
    "Default",
    "MountEntry",
    "ProfileTooComplexError",
    "SocketEntry",
    "Tables",
    "encode",
    "executable_number",
    "origin_of",
]

MAX_MOUNT_RULES = 32
MAX_SOCKET_RULES = 32
MAX_PORT_RANGES = 4096
FSTYPE_BYTES = 15
SWITCHES = {
    "userns_create": 0x1,
    "bpf": 0x2,
    "bpf_prog_load": 0x4,
    "socket_filter": 0x8,
    "userfaultfd": 0x10,
    "io_uring": 0x20,
    "perf_event_open": 0x40,
    "block_device_open": 0x80,
    "block_device_mount": 0x100,
    "chmod_x_bit": 0x200,
    "chmod_s_bit": 0x400,
    "keyring": 0x800,
    "kernel_module": 0x1000,
    "kexec": 0x2000,
}
"""Operations that are refused as a whole."""

ALLOW_LIST = "allow-list"
"""The origin of a refusal that no rule states: the allow-list lacks an entry."""

_ALL_CAPABILITIES = (1 << 64) - 1
_ALL_ACCESS = Access.READ | Access.WRITE | Access.APPEND | Access.EXEC | Access.MAP
_ALL_PTRACE = PtracePermission.TRACE | PtracePermission.READ | PtracePermission.TRACED_BY | PtracePermission.READ_BY


class Default(IntFlag):
    """What an allow-list does with what it does not name."""

    DENY = 1
    AUDIT = 2


_NOTHING = Default(0)


@dataclass(frozen=True, slots=True)
class MountEntry:
    """A mount rule. Bit N of the values of the automata for source and target stands for entry N."""

    flags: int
    reverse: int
    fstype: str
    deny: bool
    audit: bool
    allow: bool = False


@dataclass(frozen=True, slots=True)
class SocketEntry:
    """A socket rule. A mask of zero means any."""

    domains: int
    types: int
    protocols: int
    deny: bool
    audit: bool
    allow: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """All of a profile.

    Values of ``automata`` are accept words: denials, records << 8, denials below << 16, what the allow-list has << 24.
    The value of ``executables`` is the number of a program in ``children``, which holds groups of such numbers with the
    rules that hold from their execution on.
    """

    automata: tuple[Automaton, ...] = ()
    mount_source: Automaton | None = None
    mount_target: Automaton | None = None
    mounts: tuple[MountEntry, ...] = ()
    mounts_default: Default = _NOTHING
    sockets: tuple[SocketEntry, ...] = ()
    sockets_default: Default = _NOTHING
    networks: tuple[NetworkEntry, ...] = ()
    paths_deny: int = 0
    paths_audit: int = 0
    paths_default_deny: int = 0
    paths_default_audit: int = 0
    capabilities_deny: int = 0
    capabilities_audit: int = 0
    switches_deny: int = 0
    switches_audit: int = 0
    ptrace_deny: int = 0
    ptrace_audit: int = 0
    ptrace_deny_all: int = 0
    ptrace_audit_all: int = 0
    executables: Automaton | None = None
    children: tuple[tuple[tuple[int, ...], Tables], ...] = ()

    @property
    def all_automata(self) -> tuple[Automaton, ...]:
        """Those for paths, then, if they are there, those for mount sources, for mount targets and for executables."""
        others = (self.mount_source, self.mount_target, self.executables)
        return (*self.automata, *(automaton for automaton in others if automaton is not None))


def encode(profile: BpfProfile) -> Tables:
    """The tables of a profile.

    Raises:
        GlobError: a pattern cannot be read.
        ProfileTooComplexError: a limit of the kernel's tables is passed; the message says which rules to change.
    """
    allow = profile.allow or AllowList(deny=False, audit=False)
    default = (Default.DENY if allow.deny else _NOTHING) | (Default.AUDIT if allow.audit else _NOTHING)
    mounts = _effective_mounts(profile.mounts, allow)
    numbers = executable_numbers(profile.executables)
    default_deny, default_audit = (int(_ALL_ACCESS) if chosen else 0 for chosen in (allow.deny, allow.audit))
    tables = Tables(
        automata=path_automata(profile.paths, allow),
        mount_source=mount_automaton([rule.source for rule in mounts], "sources") if mounts else None,
        mount_target=mount_automaton([rule.target for rule in mounts], "targets") if mounts else None,
        mounts=tuple(_mount_entry(rule) for rule in mounts),
        mounts_default=default,
        sockets=_socket_entries(profile.sockets, allow),
        sockets_default=default,
        networks=_networks(profile),
        paths_deny=_union(refused_access(rule) for rule in profile.paths if rule.deny) | default_deny,
        paths_audit=_union(refused_access(rule) for rule in profile.paths if rule.audit) | default_audit,
        paths_default_deny=default_deny,
        paths_default_audit=default_audit,
        executables=executable_automaton(numbers) if numbers else None,
        children=tuple(
            (tuple(numbers[path] for path in group.executables), _encode_child(group)) for group in profile.executables
        ),
    )
    return _with_masks(tables, profile, allow)


def _with_masks(tables: Tables, profile: BpfProfile, allow: AllowList) -> Tables:
    """What is refused as a whole, and what an allow-list leaves out of it.

    An allow-list speaks about ptrace across the workload's border only; within it the profile's own rules decide.
    """
    capabilities = _ALL_CAPABILITIES & ~allow.capabilities
    switches = _union(SWITCHES.values()) & ~_union(_switch(name) for name in allow.switches)
    ptrace = int(_ALL_PTRACE) & ~_union(rule.permissions for rule in allow.ptrace)
    denying, recording = int(allow.deny), int(allow.audit)
    return replace(
        tables,
        capabilities_deny=_union(rule.mask for rule in profile.capabilities if rule.deny) | capabilities * denying,
        capabilities_audit=_union(rule.mask for rule in profile.capabilities if rule.audit) | capabilities * recording,
        switches_deny=_union(_switch(rule.operation) for rule in profile.switches if rule.deny) | switches * denying,
        switches_audit=_union(_switch(rule.operation) for rule in profile.switches if rule.audit)
        | switches * recording,
        ptrace_deny=_union(rule.permissions for rule in profile.ptrace if rule.deny) | ptrace * denying,
        ptrace_audit=_union(rule.permissions for rule in profile.ptrace if rule.audit) | ptrace * recording,
        ptrace_deny_all=_union(rule.permissions for rule in profile.ptrace if rule.deny and rule.everywhere),
        ptrace_audit_all=_union(rule.permissions for rule in profile.ptrace if rule.audit and rule.everywhere),
    )


def _union(masks: Iterable[int]) -> int:
    out = 0
    for mask in masks:
        out |= int(mask)
    return out


def _switch(operation: str) -> int:
    bit = SWITCHES.get(operation)
    if bit is None:
        known = ", ".join(sorted(SWITCHES))
        raise ProfileTooComplexError(f"the BPF enforcer has no operation {operation!r}; it has: {known}")
    return bit


def origin_of(profile: BpfProfile, path: str, access: Access, *, denied: bool = True) -> str:
    """The ``origin`` of the first rule that explains an event: ``access`` to ``path`` denied, or let pass and recorded.

    :data:`ALLOW_LIST` when it was for want of an entry there. The rules of the workload come before those of its
    programs. Empty when no rule of the profile explains it (the event is older than the profile).
    """
    text = path.encode("utf-8", "surrogateescape")
    for part in (profile, *(group.profile for group in profile.executables)):
        origin = _origin_in(part, text, access, denied=denied)
        if origin:
            return origin
    return ""


def _origin_in(profile: BpfProfile, text: bytes, access: Access, *, denied: bool) -> str:
    for rule in profile.paths:
        told = rule.deny if denied else rule.audit
        if told and with_map(rule.access) & access and regex(rule.pattern).fullmatch(text):
            return rule.origin
    allow = profile.allow
    if allow is None or not (allow.deny if denied else allow.audit):
        return ""
    allowed = _union(with_map(rule.access) for rule in allow.paths if regex(rule.pattern).fullmatch(text))
    return ALLOW_LIST if access & _ALL_ACCESS & ~allowed else ""


def _effective_mounts(rules: Sequence[MountRule], allow: AllowList) -> list[MountRule]:
    found = [rule for rule in rules if rule.deny or rule.audit]
    if allow.deny or allow.audit:
        found += [replace(rule, deny=False, audit=False) for rule in allow.mounts]
    if len(found) > MAX_MOUNT_RULES:
        raise ProfileTooComplexError(
            f"the profile has {len(found)} mount rules, the kernel side takes {MAX_MOUNT_RULES}: join some of them"
        )
    return found


def _mount_entry(rule: MountRule) -> MountEntry:
    if len(rule.fstype.encode()) > FSTYPE_BYTES or not rule.fstype or "\0" in rule.fstype:
        raise ProfileTooComplexError(
            f"the file system type {rule.fstype!r} of a mount rule ({rule.origin}): expected 1 to {FSTYPE_BYTES} bytes"
        )
    return MountEntry(
        rule.flags & 0xFFFFFFFF,
        rule.reverse & 0xFFFFFFFF,
        rule.fstype,
        rule.deny,
        rule.audit,
        allow=not (rule.deny or rule.audit),
    )


def _socket_entries(rules: Sequence[SocketRule], allow: AllowList) -> tuple[SocketEntry, ...]:
    found = [
        SocketEntry(rule.domains, rule.types, int(rule.protocols), rule.deny, rule.audit)
        for rule in rules
        if rule.deny or rule.audit
    ]
    if allow.deny or allow.audit:
        found += [
            SocketEntry(rule.domains, rule.types, int(rule.protocols), deny=False, audit=False, allow=True)
            for rule in allow.sockets
        ]
    entries = tuple(dict.fromkeys(found))
    if len(entries) > MAX_SOCKET_RULES:
        raise ProfileTooComplexError(
            f"the profile has {len(entries)} socket rules, the kernel side takes {MAX_SOCKET_RULES}: join some of them"
        )
    return entries


def _networks(profile: BpfProfile) -> tuple[NetworkEntry, ...]:
    entries = fold(profile.egress, profile.allow)
    for entry in entries:
        if len(entry.ranges) > MAX_PORT_RANGES:
            raise ProfileTooComplexError(
                f"the egress rules give {len(entry.ranges)} separate port ranges for {entry.network}, the kernel side "
                f"takes {MAX_PORT_RANGES}: join some of them"
            )
    return entries


def _encode_child(group: ExecutableRules) -> Tables:
    if group.profile.executables:
        raise ProfileTooComplexError(
            f"the rules of {', '.join(group.executables)} hold rules for executables again; rules of a program "
            "hold for all that it starts"
        )
    return encode(group.profile)

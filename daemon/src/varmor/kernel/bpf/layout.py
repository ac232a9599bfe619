# SPDX-License-Identifier: Apache-2.0
"""The mirror of daemon/bpf/varmor.h: map keys, map values and events. A test compares it with the object's BTF."""

from __future__ import annotations

import ctypes
import enum

PATH_SIZE = 4096
UNIT_PATH_SIZE = 256
NAME_SIZE = 64
DIGEST_SIZE = 32
MAX_PAIRS = 4
MAX_MOUNT_RULES = 32
MAX_SOCKET_RULES = 32
FSTYPE_SIZE = 16
NETWORK_PREFIX_BITS = 48
"""Bits of ``NetworkKey`` before the address that every key has: profile and family."""

RESERVED_WORDS = 512
"""Words at the beginning of the table that stay zero: the row of the dead state, wide enough for any column."""


class BindFlag(enum.IntFlag):
    """Flags of a :class:`CgroupBinding`."""

    ENTRY_ONCE = 1
    UNIT = 2
    HOST_MOUNTS = 4


class SlotFlag(enum.IntFlag):
    """Flags of a :class:`Slot`."""

    RECORD_SYSCALLS = 1


class Hook(enum.IntEnum):
    """Which kernel hook made an event."""

    FILE_OPEN = 1
    EXEC = 2
    UNLINK = 3
    RMDIR = 4
    MKDIR = 5
    MKNOD = 6
    SYMLINK = 7
    LINK = 8
    RENAME = 9
    TRUNCATE = 10
    CHMOD = 11
    CHOWN = 12
    CAPABLE = 13
    CONNECT = 14
    SENDMSG = 15
    MOUNT = 16
    MOVE_MOUNT = 17
    UMOUNT = 18
    USERNS_CREATE = 19  # not used any more: OPERATION has taken its place
    SECCOMP = 20
    MAP = 21
    UNIX_CONNECT = 22
    SOCKET = 23
    PTRACE = 24
    OPERATION = 25
    FILE_RECEIVE = 26


class Verdict(enum.IntEnum):
    """What happened to the request."""

    DENIED = 1
    AUDIT = 2


class Reason(enum.IntEnum):
    """Why: a rule, or something that cannot be judged and is refused where a rule could apply."""

    RULE = 0
    PATH_TOO_LONG = 1
    PATH_TOO_DEEP = 2
    NO_BUFFER = 3
    NO_PLACE = 4
    ABOVE_RULE = 5
    GAINS = 6


class Counter(enum.IntEnum):
    """Index in the map ``counters``."""

    LOST_EVENTS = 0
    NO_BUFFER = 1
    BIND_FAILED = 2


class Workload(ctypes.Structure):
    """``workloads[index]``: the daemon's number, and the slot of the policy (0: none)."""

    number: int
    slot: int
    _fields_ = (("number", ctypes.c_uint32), ("slot", ctypes.c_uint32))


class Budget(ctypes.Structure):
    """``budgets[index of a workload]``: events of this second; how many were not recorded since the programs were
    loaded (denials, others), and how many of these the daemon has told.
    """

    second: int
    events: int
    withheld: ctypes.Array[ctypes.c_uint32]
    told: ctypes.Array[ctypes.c_uint32]
    _fields_ = (
        ("second", ctypes.c_uint32),
        ("events", ctypes.c_uint32),
        ("withheld", ctypes.c_uint32 * 2),
        ("told", ctypes.c_uint32 * 2),
    )


class Slot(ctypes.Structure):
    """``slots[slot]``: the index of the profile record that is in force (0: none), and flags of the slot."""

    profile: int
    flags: int
    _fields_ = (("profile", ctypes.c_uint32), ("flags", ctypes.c_uint32))


class CgroupBinding(ctypes.Structure):
    """``cgroups[cgroup id]`` and ``units[path]``."""

    workload: int
    flags: int
    _fields_ = (("workload", ctypes.c_uint32), ("flags", ctypes.c_uint32))


class MountBinding(ctypes.Structure):
    """``mount_namespaces[inode number]``."""

    generation: int
    workload: int
    _fields_ = (
        ("generation", ctypes.c_uint64),
        ("workload", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class KernelAutomaton(ctypes.Structure):
    """Where an automaton lies: the word of its start row, and its byte classes."""

    start: int
    classes: int
    _fields_ = (("start", ctypes.c_uint32), ("classes", ctypes.c_uint32))


class AutomatonPair(ctypes.Structure):
    """Two automata that run side by side."""

    a: KernelAutomaton
    b: KernelAutomaton
    _fields_ = (("a", KernelAutomaton), ("b", KernelAutomaton))


class MountRuleRecord(ctypes.Structure):
    """A mount rule of a profile."""

    flags: int
    reverse: int
    deny: int
    audit: int
    allow: int
    fstype: bytes
    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("reverse", ctypes.c_uint32),
        ("deny", ctypes.c_uint32),
        ("audit", ctypes.c_uint32),
        ("allow", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("fstype", ctypes.c_char * FSTYPE_SIZE),
    )


class SocketRuleRecord(ctypes.Structure):
    """A socket rule of a profile. A mask of zero means any."""

    domains: int
    types: int
    protocols: int
    deny: int
    audit: int
    allow: int
    _fields_ = (
        ("domains", ctypes.c_uint64),
        ("types", ctypes.c_uint32),
        ("protocols", ctypes.c_uint32),
        ("deny", ctypes.c_uint32),
        ("audit", ctypes.c_uint32),
        ("allow", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class ChildKey(ctypes.Structure):
    """Key of ``children``: the record of a workload's rules, and the number of an executable."""

    profile: int
    executable: int
    _fields_ = (("profile", ctypes.c_uint32), ("executable", ctypes.c_uint32))


class Process(ctypes.Structure):
    """``pids[tgid]``: the index of a process's workload, and the executable whose rules hold for it (0: none)."""

    workload: int
    executable: int
    _fields_ = (("workload", ctypes.c_uint32), ("executable", ctypes.c_uint32))


class ProfileRecord(ctypes.Structure):
    """``profiles[index]``: all that is fixed about a revision, and where its tables lie."""

    name: bytes
    digest: ctypes.Array[ctypes.c_uint8]
    revision: int
    capabilities_deny: int
    capabilities_audit: int
    switches_deny: int
    switches_audit: int
    paths_deny: int
    paths_audit: int
    paths_default_deny: int
    paths_default_audit: int
    mounts_default: int
    sockets_default: int
    ptrace_deny: int
    ptrace_audit: int
    ptrace_deny_all: int
    ptrace_audit_all: int
    sockets: int
    children: int
    pairs: int
    networks: int
    mounts: int
    observe: int
    pair: ctypes.Array[AutomatonPair]
    mount_source: AutomatonPair
    mount_target: AutomatonPair
    executables: AutomatonPair
    table_first: int
    table_count: int
    classes_first: int
    classes_count: int
    ports_first: int
    ports_count: int
    mount: ctypes.Array[MountRuleRecord]
    socket: ctypes.Array[SocketRuleRecord]
    _fields_ = (
        ("name", ctypes.c_char * NAME_SIZE),
        ("digest", ctypes.c_uint8 * DIGEST_SIZE),
        ("revision", ctypes.c_uint64),
        ("capabilities_deny", ctypes.c_uint64),
        ("capabilities_audit", ctypes.c_uint64),
        ("switches_deny", ctypes.c_uint32),
        ("switches_audit", ctypes.c_uint32),
        ("paths_deny", ctypes.c_uint32),
        ("paths_audit", ctypes.c_uint32),
        ("paths_default_deny", ctypes.c_uint32),
        ("paths_default_audit", ctypes.c_uint32),
        ("mounts_default", ctypes.c_uint32),
        ("sockets_default", ctypes.c_uint32),
        ("ptrace_deny", ctypes.c_uint32),
        ("ptrace_audit", ctypes.c_uint32),
        ("ptrace_deny_all", ctypes.c_uint32),
        ("ptrace_audit_all", ctypes.c_uint32),
        ("sockets", ctypes.c_uint32),
        ("children", ctypes.c_uint32),
        ("pairs", ctypes.c_uint32),
        ("networks", ctypes.c_uint32),
        ("mounts", ctypes.c_uint32),
        ("observe", ctypes.c_uint32),
        ("pair", AutomatonPair * MAX_PAIRS),
        ("mount_source", AutomatonPair),
        ("mount_target", AutomatonPair),
        ("executables", AutomatonPair),
        ("table_first", ctypes.c_uint32),
        ("table_count", ctypes.c_uint32),
        ("classes_first", ctypes.c_uint32),
        ("classes_count", ctypes.c_uint32),
        ("ports_first", ctypes.c_uint32),
        ("ports_count", ctypes.c_uint32),
        ("mount", MountRuleRecord * MAX_MOUNT_RULES),
        ("socket", SocketRuleRecord * MAX_SOCKET_RULES),
    )


class NetworkKey(ctypes.Structure):
    """Key of the longest-prefix table. ``prefix`` counts profile and family too."""

    prefix: int
    profile: int
    family: int
    address: ctypes.Array[ctypes.c_uint8]
    _fields_ = (
        ("prefix", ctypes.c_uint32),
        ("profile", ctypes.c_uint32),
        ("family", ctypes.c_uint16),
        ("address", ctypes.c_uint8 * 16),
        ("reserved", ctypes.c_uint16),
    )


class NetworkValue(ctypes.Structure):
    """The port ranges of a network: a part of the map ``ports``."""

    first: int
    count: int
    _fields_ = (("first", ctypes.c_uint32), ("count", ctypes.c_uint32))


class PortRangeRecord(ctypes.Structure):
    """One element of ``ports``."""

    low: int
    high: int
    deny: int
    audit: int
    _fields_ = (
        ("low", ctypes.c_uint16),
        ("high", ctypes.c_uint16),
        ("deny", ctypes.c_uint8),
        ("audit", ctypes.c_uint8),
        ("reserved", ctypes.c_uint16),
    )


class EventHeader(ctypes.Structure):
    """What comes through the ring buffer, followed by ``text_length`` bytes."""

    time: int
    cgroup: int
    argument: int
    tgid: int
    tid: int
    uid: int
    workload: int
    slot: int
    mount_namespace: int
    hook: int
    verdict: int
    reason: int
    text_length: int
    address: ctypes.Array[ctypes.c_uint8]
    comm: bytes
    _fields_ = (
        ("time", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
        ("argument", ctypes.c_uint64),
        ("tgid", ctypes.c_uint32),
        ("tid", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("workload", ctypes.c_uint32),
        ("slot", ctypes.c_uint32),
        ("mount_namespace", ctypes.c_uint32),
        ("hook", ctypes.c_uint8),
        ("verdict", ctypes.c_uint8),
        ("reason", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
        ("text_length", ctypes.c_uint32),
        ("address", ctypes.c_uint8 * 16),
        ("comm", ctypes.c_char * 16),
    )


class BoundTask(ctypes.Structure):
    """A record of the iterators: a confined task, the index of its workload, and the daemon's number of it."""

    tgid: int
    tid: int
    workload: int
    number: int
    _fields_ = (
        ("tgid", ctypes.c_uint32),
        ("tid", ctypes.c_uint32),
        ("workload", ctypes.c_uint32),
        ("number", ctypes.c_uint32),
    )

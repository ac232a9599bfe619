# SPDX-License-Identifier: Apache-2.0
"""The words of ``bpfRawRules`` and of the catalog's BPF forms, with what they stand for in the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from varmor.profile.types import Access, PtracePermission, SocketProtocol

ANY_WORDS = ("all", "*")

WRITE = Access.WRITE | Access.APPEND
ALL_ACCESS = Access.READ | WRITE | Access.EXEC
PERMISSIONS = {
    "all": ALL_ACCESS, "*": ALL_ACCESS, "read": Access.READ, "r": Access.READ, "write": WRITE, "w": WRITE,
    "append": Access.APPEND, "a": Access.APPEND, "exec": Access.EXEC, "x": Access.EXEC, "map": Access.MAP,
    "m": Access.MAP,
}  # fmt: skip
"""``map`` (executable mappings: libraries, what ld.so runs) is not upstream's; refusing or allowing ``exec`` does the
same for ``map``."""

DOMAINS = {
    "unix": 1, "inet": 2, "ax25": 3, "ipx": 4, "appletalk": 5, "netrom": 6, "bridge": 7, "atmpvc": 8, "x25": 9,
    "inet6": 10, "rose": 11, "netbeui": 13, "security": 14, "key": 15, "netlink": 16, "packet": 17, "ash": 18,
    "econet": 19, "atmsvc": 20, "rds": 21, "sna": 22, "irda": 23, "pppox": 24, "wanpipe": 25, "llc": 26, "ib": 27,
    "mpls": 28, "can": 29, "tipc": 30, "bluetooth": 31, "iucv": 32, "rxrpc": 33, "isdn": 34, "phonet": 35,
    "ieee802154": 36, "caif": 37, "alg": 38, "nfc": 39, "vsock": 40, "kcm": 41, "qipcrtr": 42, "smc": 43, "xdp": 44,
    "mctp": 45,
}  # fmt: skip
"""Socket domains by their numbers (AF_*)."""

TYPES = {"stream": 1, "dgram": 2, "raw": 3, "rdm": 4, "seqpacket": 5, "dccp": 6, "packet": 10}
"""Socket types by their numbers (SOCK_*)."""

PROTOCOLS = {
    "icmp": SocketProtocol.ICMP,
    "tcp": SocketProtocol.TCP,
    "udp": SocketProtocol.UDP,
    "sctp": SocketProtocol.SCTP,
}
"""Classes of protocols; ``sctp`` is not upstream's."""

PTRACE = {
    "trace": PtracePermission.TRACE,
    "read": PtracePermission.READ,
    "traceby": PtracePermission.TRACED_BY,
    "readby": PtracePermission.READ_BY,
    "all": ~PtracePermission(0),
    "*": ~PtracePermission(0),
}


@dataclass(frozen=True, slots=True)
class MountFlag:
    """What a flag word asks for: bits of mount(2) that are set, or (``reverse``) that are not."""

    flags: int = 0
    reverse: int = 0


UMOUNT = 0x200
"""umount(2) in the words of a mount rule: no flag of mount(2) has this bit."""
ALL_FLAGS = 0xFFFFFFFF
EVERY_MOUNT = MountFlag(ALL_FLAGS & ~UMOUNT, ALL_FLAGS)
"""All that mount(2) and move_mount(2) do; umount(2) is not among it."""

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _SYNCHRONOUS, _REMOUNT, _MANDLOCK, _DIRSYNC = (1 << bit for bit in range(8))
_NOATIME, _NODIRATIME, _BIND, _MOVE, _REC, _SILENT = (1 << bit for bit in range(10, 16))
_UNBINDABLE, _PRIVATE, _SLAVE, _SHARED, _RELATIME = (1 << bit for bit in range(17, 22))
_I_VERSION, _STRICTATIME = 1 << 23, 1 << 24
_RECURSIVE = _BIND | _REC


def _propagation() -> dict[str, MountFlag]:
    words: dict[str, MountFlag] = {}
    for name, flag in (("unbindable", _UNBINDABLE), ("private", _PRIVATE), ("slave", _SLAVE), ("shared", _SHARED)):
        words[name] = words[f"make-{name}"] = MountFlag(flag)
        words[f"r{name}"] = words[f"make-r{name}"] = MountFlag(_RECURSIVE | flag)
    return words


MOUNT_FLAGS: dict[str, MountFlag] = {
    "remount": MountFlag(_REMOUNT),
    "bind": MountFlag(_BIND), "B": MountFlag(_BIND),
    "move": MountFlag(_MOVE), "M": MountFlag(_MOVE),
    "rbind": MountFlag(_RECURSIVE), "R": MountFlag(_RECURSIVE),
    **_propagation(),
    "ro": MountFlag(_RDONLY), "r": MountFlag(_RDONLY), "read-only": MountFlag(_RDONLY),
    "nosuid": MountFlag(_NOSUID),
    "nodev": MountFlag(_NODEV),
    "noexec": MountFlag(_NOEXEC),
    "sync": MountFlag(_SYNCHRONOUS),
    "mand": MountFlag(_MANDLOCK),
    "dirsync": MountFlag(_DIRSYNC),
    "noatime": MountFlag(_NOATIME),
    "nodiratime": MountFlag(_NODIRATIME),
    "silent": MountFlag(_SILENT),
    "relatime": MountFlag(_RELATIME),
    "iversion": MountFlag(_I_VERSION),
    "strictatime": MountFlag(_STRICTATIME),
    "rw": MountFlag(reverse=_RDONLY), "w": MountFlag(reverse=_RDONLY),
    "suid": MountFlag(reverse=_NOSUID),
    "dev": MountFlag(reverse=_NODEV),
    "exec": MountFlag(reverse=_NOEXEC),
    "async": MountFlag(reverse=_SYNCHRONOUS),
    "nomand": MountFlag(reverse=_MANDLOCK),
    "atime": MountFlag(reverse=_NOATIME),
    "diratime": MountFlag(reverse=_NODIRATIME),
    "loud": MountFlag(reverse=_SILENT),
    "norelatime": MountFlag(reverse=_RELATIME),
    "noiversion": MountFlag(reverse=_I_VERSION),
    "nostrictatime": MountFlag(reverse=_STRICTATIME),
    "umount": MountFlag(UMOUNT),
    "all": MountFlag(ALL_FLAGS, ALL_FLAGS), "*": MountFlag(ALL_FLAGS, ALL_FLAGS),
}  # fmt: skip
"""Flag words of mount rules. ``B``, ``M`` and ``R`` are bind, move and rbind; ``r`` is read-only."""


def mount_flags(found: Iterable[MountFlag]) -> MountFlag:
    """All of some flag words together: a request that has any of them is meant."""
    flags = reverse = 0
    for word in found:
        flags |= word.flags
        reverse |= word.reverse
    return MountFlag(flags, reverse)


def bits(numbers: Iterable[int]) -> int:
    """A mask with bit N for each number N."""
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask

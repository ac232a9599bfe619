# SPDX-License-Identifier: Apache-2.0
"""A compiled profile as ArmorProfile and ArmorProfileModel carry it: texts of AppArmor and seccomp, rules for BPF.

The BPF rules in ``bpf`` are those of vArmor, bit for bit; an allow-list, which vArmor has not got, stands beside them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from varmor.policy import render
from varmor.policy.parse_bpf_rules import bpf_allow_list
from varmor.policy.record import MAX_TEXT, member
from varmor.policy.types import BpfAllowList

_UINT16 = 65535
_UINT32 = (1 << 32) - 1


class ProfileMode(enum.StrEnum):
    """What happens at a violation."""

    ENFORCE = "enforce"
    COMPLAIN = "complain"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityContent:
    """Capabilities as a bit mask."""

    mode: int = member("1 denies, 2 records", high=_UINT32)
    capabilities: int = member("Bit N is capability number N")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternContent:
    """A path pattern, cut at its wildcard."""

    flags: int = member("1 precise, 2 greedy, 4 has a prefix, 8 has a suffix", high=_UINT32)
    prefix: str = member("What stands before the wildcard", default="")
    suffix: str = member("What stands behind it, reversed", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathContent:
    """A rule about files or programs."""

    mode: int = member("1 denies, 2 records", high=_UINT32)
    permissions: int = member("1 execute, 2 write, 4 read, 8 append", high=_UINT32)
    pattern: PatternContent = member("The paths that it is about")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketContent:
    """Sockets as bit masks; a mask of zero means any."""

    domains: int = member("Bit N is address family N", default=0)
    types: int = member("Bit N is socket type N", default=0)
    protocols: int = member("Bit N is protocol N", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressContent:
    """Where connections go."""

    ip: str = member("One address", default="", limit=64)
    cidr: str = member("A network", default="", limit=64)
    port: int = member("One port, or the first of a range", default=0, high=_UINT16)
    end_port: int = member("The last port of the range", default=0, high=_UINT16)
    ports: tuple[int, ...] = member("Single ports", default=(), high=_UINT16)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkContent:
    """A rule about sockets or connections."""

    mode: int = member("1 denies, 2 records", high=_UINT32)
    flags: int = member("Which of the fields count", high=_UINT32)
    socket: SocketContent | None = member("The sockets that it is about", default=None)
    address: AddressContent | None = member("The connections that it is about", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PtraceContent:
    """The rule about ptrace."""

    mode: int = member("1 denies, 2 records", high=_UINT32)
    permissions: int = member("2 trace, 4 read, 8 traced by, 16 read by", high=_UINT32)
    flags: int = member("1 across mount namespaces only, 2 everywhere", high=_UINT32)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountContent:
    """A rule about mounts."""

    mode: int = member("1 denies, 2 records", high=_UINT32)
    mount_flags: int = member("Flags of mount(2), any of which must be set", high=_UINT32)
    reverse_mount_flags: int = member("Flags, any of which must not be set", name="reverseMountflags", high=_UINT32)
    pattern: PatternContent = member("The sources that it is about")
    fstype: str = member("The file system", limit=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class BpfContent:
    """The rules for the BPF enforcer."""

    capabilities: CapabilityContent | None = member("Capabilities", default=None)
    files: tuple[PathContent, ...] = member("Files", default=())
    processes: tuple[PathContent, ...] = member("Programs", default=())
    networks: tuple[NetworkContent, ...] = member("Sockets and connections", default=())
    ptrace: PtraceContent | None = member("Ptrace", default=None)
    mounts: tuple[MountContent, ...] = member("Mounts", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileContent:
    """What the nodes load. ``bpf_allow_list`` is what a model permits, with the meaning of
    ``defenseInDepth.bpf.customProfile``.
    """

    name: str = member("The profile's name", limit=253)
    enforcer: str = member("The enforcers, in one word", limit=200)
    mode: ProfileMode = member("What happens at a violation")
    apparmor: str = member("The AppArmor profile", name="appArmor", default="", limit=MAX_TEXT)
    seccomp: str = member("The seccomp profile: OCI JSON as text", default="", limit=MAX_TEXT)
    bpf: BpfContent | None = member("Rules for the BPF enforcer", default=None)
    bpf_allow_list: BpfAllowList | None = member(
        "What the BPF enforcer lets pass when all else is refused",
        default=None,
        read=bpf_allow_list,
        write=render.bpf_allow_list,
    )

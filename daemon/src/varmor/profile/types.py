# SPDX-License-Identifier: Apache-2.0
"""What a kernel loads, as values: the result of compiling one policy for one node."""

from __future__ import annotations

import enum
import functools
import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from varmor.policy.types import Enforcer, Mode, PolicyKey, SyscallArg


class Access(enum.IntFlag):
    """Permissions of a path rule in the BPF tables (values shared with daemon/bpf/varmor.h)."""

    READ = 1
    WRITE = 2
    APPEND = 4
    EXEC = 8
    MAP = 16


class SocketProtocol(enum.IntFlag):
    """Classes of protocols in socket rules, by the protocol that the kernel really takes (shared with varmor.h).

    A stream socket of an IP family with protocol 0 is TCP, a datagram socket UDP. ``ICMP`` includes ICMPv6, ``TCP``
    MPTCP, ``UDP`` UDP-Lite.
    """

    ICMP = 1
    TCP = 2
    UDP = 4
    SCTP = 8
    OTHER = 16


class PtracePermission(enum.IntFlag):
    """What ptrace rules speak about (shared with varmor.h): the task's own acts, and those of others upon it."""

    TRACE = 1
    READ = 2
    TRACED_BY = 4
    READ_BY = 8


@dataclass(frozen=True, slots=True)
class PathRule:
    """A path glob with the accesses it speaks about.

    ``deny`` refuses the access, ``audit`` records it; a rule with ``audit`` alone lets it pass and records it.
    ``origin`` names the built-in or
    custom rule, for events and explanations. Globs: ``?`` one character but ``/``; ``*`` a run without ``/``;
    ``**`` any run; ``{a,b}``; ``[a-z]``,
    ``[^a]``; backslash quotes.
    """

    pattern: str
    access: Access
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class EgressRule:
    """Connections to a network. ``network`` None means any address; ``ports`` empty means any port, else
    inclusive ranges.
    """

    network: IPv4Network | IPv6Network | None
    ports: tuple[tuple[int, int], ...]
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class MountRule:
    """A mount that is denied or recorded.

    ``source`` and ``target`` are path globs, ``fstype`` a name or ``*``; the rule applies when ``flags & MS_* `` or
    ``reverse & ~MS_*`` has any bit (values of mount(2)).
    """

    source: str
    fstype: str
    flags: int
    reverse: int
    deny: bool
    audit: bool
    origin: str
    target: str = "**"


@dataclass(frozen=True, slots=True)
class SocketRule:
    """Sockets that may not be made, or whose making is recorded.

    ``domains`` holds bit N for AF_ number N, ``types`` bit N for SOCK_ number N, ``protocols`` the classes. A mask of
    zero means any; a rule applies when all three do.
    """

    domains: int
    types: int
    protocols: SocketProtocol
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class PtraceRule:
    """Acts of ptrace(2) and reads of other processes' memory, maps and environment.

    ``everywhere`` tells that the rule holds within the workload too, not only across its border.
    """

    permissions: PtracePermission
    everywhere: bool
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class CapabilityRule:
    """Capabilities (bit N = capability number N of linux/capability.h)."""

    mask: int
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class SwitchRule:
    """An operation that is denied or recorded as a whole. The names are those of
    :data:`varmor.profile.tables.SWITCHES`.
    """

    operation: str
    deny: bool
    audit: bool
    origin: str


@dataclass(frozen=True, slots=True)
class AllowList:
    """What a profile lets pass; all else of these kinds is refused (``deny``), recorded (``audit``), or both.

    The rules of the lists have ``deny`` and ``audit`` false: they say what is allowed. ``capabilities`` has bit N for
    capability N, ``switches`` the allowed operations. What a deny rule of the profile says holds in any case.
    """

    deny: bool
    audit: bool
    paths: tuple[PathRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()
    mounts: tuple[MountRule, ...] = ()
    sockets: tuple[SocketRule, ...] = ()
    ptrace: tuple[PtraceRule, ...] = ()
    capabilities: int = 0
    switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutableRules:
    """What holds from the execution of one of these programs (full paths) on, for it and all that it starts.

    ``profile`` is the whole set of rules then, those of the workload included; it has no ``executables`` itself.
    """

    executables: tuple[str, ...]
    profile: BpfProfile


@dataclass(frozen=True, slots=True)
class BpfProfile:
    """The rules of the BPF enforcer for one profile, before they become tables."""

    paths: tuple[PathRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()
    mounts: tuple[MountRule, ...] = ()
    capabilities: tuple[CapabilityRule, ...] = ()
    switches: tuple[SwitchRule, ...] = ()
    sockets: tuple[SocketRule, ...] = ()
    ptrace: tuple[PtraceRule, ...] = ()
    allow: AllowList | None = None
    executables: tuple[ExecutableRules, ...] = ()


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Something legal in a policy that does nothing where it is compiled: which field, and why."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """Where a Kubernetes service can be reached: networks with inclusive port ranges (none: all ports)."""

    namespace: str
    name: str
    addresses: tuple[tuple[IPv4Network | IPv6Network, tuple[tuple[int, int], ...]], ...]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What compiling needs to know about a node.

    ``apparmor_parser`` is the version of apparmor_parser (``(3, 0)``), ``apparmor_abi`` the ABI files it has,
    ``disk_devices`` the names in /proc/partitions, ``enforcers`` those that the node's kernel can serve, ``machine``
    the processor as ``uname -m`` says it, ``records_seccomp`` tells whether refusals by seccomp are seen without the
    help of whoever installs the filter. ``kernel`` is the release of Linux, ``services`` what is known of the
    cluster's services (nothing on a node that belongs to none).
    """

    apparmor_parser: tuple[int, int] = (3, 0)
    apparmor_abi: tuple[str, ...] = ("3.0",)
    disk_devices: tuple[str, ...] = ()
    enforcers: Enforcer = Enforcer.APPARMOR | Enforcer.BPF | Enforcer.SECCOMP
    machine: str = "x86_64"
    records_seccomp: bool = True
    kernel: tuple[int, int] = (6, 1)
    services: tuple[ServiceEndpoints, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """Lines of a systemd drop-in that carry the profile for a unit: directive and value, in order."""

    directives: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SyscallRefusal:
    """Calls that seccomp refuses, under conditions on their arguments, where the refusal is to be recorded.

    ``args`` are as in the OCI runtime specification; ``origin`` names the built-in or custom rule.
    """

    names: tuple[str, ...]
    args: tuple[SyscallArg, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A compiled policy.

    ``apparmor`` is the text of one AppArmor profile (None when not asked for), ``seccomp`` an OCI
    ``LinuxSeccomp`` object, ``bpf`` the rules for the
    BPF enforcer, ``unit`` what a systemd drop-in says. ``observe`` tells that violations are let pass
    (``allowViolations``). ``refused_syscalls`` are the calls whose refusal by the filter, or by the unit's directives,
    is recorded.
    """

    name: str
    policy: PolicyKey
    mode: Mode
    enforcers: Enforcer
    apparmor: str | None = None
    seccomp: dict[str, Any] | None = None
    bpf: BpfProfile | None = None
    unit: UnitSettings = UnitSettings()
    observe: bool = False
    refused_syscalls: tuple[SyscallRefusal, ...] = ()
    no_effect: tuple[NoEffect, ...] = field(default=(), compare=False)

    def content(self) -> dict[str, Any]:
        """All that the kernel would load, as plain JSON values in a stable order."""
        return {
            "name": self.name,
            "mode": self.mode.value,
            "enforcers": list(self.enforcers.names()),
            "apparmor": self.apparmor,
            "seccomp": self.seccomp,
            "bpf": _plain(self.bpf),
            "unit": [list(pair) for pair in self.unit.directives],
            "observe": self.observe,
            "refused_syscalls": [
                {"names": list(item.names), "args": _plain(item.args), "origin": item.origin}
                for item in self.refused_syscalls
            ],
        }

    @property
    def digest(self) -> str:
        """SHA-256 over :meth:`content`, hexadecimal: equal digests load equal profiles."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Rules as JSON values. ``dataclasses.asdict`` would copy every part of them three times over."""
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _field_names(value.__class__)}
    return str(value)


@functools.cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))

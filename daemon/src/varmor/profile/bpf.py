# SPDX-License-Identifier: Apache-2.0
"""The BPF enforcer's rules: runtime default, built-in rules and ``bpfRawRules``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import TypeVar

from varmor.catalog.capabilities import NUMBERS
from varmor.catalog.types import BpfForm, MountForm, SocketForm
from varmor.profile.bpf_words import (
    DOMAINS,
    EVERY_MOUNT,
    MOUNT_FLAGS,
    PERMISSIONS,
    PROTOCOLS,
    PTRACE,
    TYPES,
    WRITE,
    bits,
    mount_flags,
)
from varmor.profile.executables import group_by_executable
from varmor.profile.selection import Reaction, Selected
from varmor.profile.services import named_endpoints
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    ExecutableRules,
    MountRule,
    NodeFacts,
    PathRule,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
)

_T = TypeVar("_T")

RUNTIME_DEFAULT = "runtime-default"
DISKS = "@{disks}"
# What a kernel calls its disks, where the names of the node's own are not known.
_USUAL_DISKS = "{sd,hd,vd,xvd,nvme,mmcblk,dm-,md,loop,nbd,rbd,zram,sr}*"

# The kernel's own secrets and switches: no access at all.
# /proc/<pid>/mem is not among them. The kernel itself demands ptrace rights for another process's, and a process's own
# is used by debuggers, JIT compilers and crash handlers.
_CLOSED = (
    "/proc/{sysrq-trigger,mem,kmem,kcore}",
    "/sys/firmware{,/**}",
    "/sys/devices/virtual/powercap{,/**}",
    "/sys/kernel/security{,/**}",
)
# Not to be written: /proc but for the directories of processes; /proc/sys but for the limits of the container's own IPC
# namespace; /sys but for cgroups. These are the write denials of the AppArmor profile, without its gaps.
_NOT_WRITTEN = (
    "/proc/*",
    "/proc/{[^0-9s]*,s,s[^y]*,sy,sy[^s]*,sys?*}/**",
    "/proc/sys/{[^k]**,k,k[^e]**,ke,ke[^r]**}",
    "/proc/sys/kernel/{[^s]**,s,s[^eh]**,se,se[^m]**,sem?**,sh,sh[^m]**}",
    "/sys/{[^f]**,f,f[^s]**,fs,fs?**}",
    "/sys/fs/{[^c]**,c,c[^g]**,cg,cg[^r]**}",
)


@dataclass(slots=True)
class BpfBuilder:
    """Collects rules in order; equal rules are kept once. ``facts`` tell the names of disks and services."""

    facts: NodeFacts = field(default_factory=NodeFacts)
    paths: dict[PathRule, None] = field(default_factory=dict)
    egress: dict[EgressRule, None] = field(default_factory=dict)
    mounts: dict[MountRule, None] = field(default_factory=dict)
    capabilities: dict[CapabilityRule, None] = field(default_factory=dict)
    switches: dict[SwitchRule, None] = field(default_factory=dict)
    sockets: dict[SocketRule, None] = field(default_factory=dict)
    ptrace: dict[PtraceRule, None] = field(default_factory=dict)

    def add_runtime_default(self, *, audit: bool) -> None:
        """Refuse what a container runtime's AppArmor profile refuses."""
        reaction = Reaction(deny=True, audit=audit)
        for pattern in _CLOSED:
            self.add_path(pattern, Access.READ | WRITE, reaction, RUNTIME_DEFAULT)
        for pattern in _NOT_WRITTEN:
            self.add_path(pattern, WRITE, reaction, RUNTIME_DEFAULT)
        self._add_mount(MountForm(), reaction, RUNTIME_DEFAULT)
        # Only across the workload's border: tracing one's own processes is ordinary work.
        self._add_ptrace(PtracePermission.TRACE | PtracePermission.READ, reaction, RUNTIME_DEFAULT)

    def add_selected(self, selected: Sequence[Selected], reaction: Reaction) -> None:
        """Add the built-in rules that this enforcer can express here, whatever their targets."""
        for item in selected:
            form = item.rule.bpf
            if form is not None and form.kernel <= self.facts.kernel and not reaction.nothing:
                self._add_form(form, reaction, item.rule.name)

    def add_path(self, pattern: str, access: Access, reaction: Reaction, origin: str) -> None:
        """Add a rule about a path glob."""
        self.paths[PathRule(pattern, access, reaction.deny, reaction.audit, origin)] = None

    def _add_form(self, form: BpfForm, reaction: Reaction, origin: str) -> None:
        for path in form.paths:
            access = Access(0)
            for word in path.access:
                access |= PERMISSIONS[word]
            self.add_path(self._with_disks(path.pattern), access, reaction, origin)
        for address in form.egress:
            self.egress[EgressRule(ip_network(address), (), reaction.deny, reaction.audit, origin)] = None
        for item in form.ports:
            network = ip_network(item.network) if item.network else None
            ranges = tuple((port, port) for port in item.ports)
            self.egress[EgressRule(network, ranges, reaction.deny, reaction.audit, origin)] = None
        for service in form.services:
            for network, ports in named_endpoints(self.facts, service):
                self.egress[EgressRule(network, ports, reaction.deny, reaction.audit, origin)] = None
        for socket in form.sockets:
            self._add_socket(socket, reaction, origin)
        if form.ptrace:
            permissions = PtracePermission(0)
            for word in form.ptrace:
                permissions |= PTRACE[word]
            self._add_ptrace(permissions, reaction, origin)
        for mount in form.mounts:
            self._add_mount(mount, reaction, origin)
        if form.capabilities:
            mask = bits(NUMBERS[name] for name in form.capabilities)
            self.capabilities[CapabilityRule(mask, reaction.deny, reaction.audit, origin)] = None
        for operation in form.switches:
            self.switches[SwitchRule(operation, reaction.deny, reaction.audit, origin)] = None

    def _with_disks(self, pattern: str) -> str:
        if DISKS not in pattern:
            return pattern
        names = self.facts.disk_devices
        return pattern.replace(DISKS, _alternatives(names) if names else _USUAL_DISKS)

    def _add_socket(self, form: SocketForm, reaction: Reaction, origin: str) -> None:
        protocols = SocketProtocol(0)
        for word in form.protocols:
            protocols |= PROTOCOLS[word]
        domains, types = bits(DOMAINS[word] for word in form.domains), bits(TYPES[word] for word in form.types)
        self.sockets[SocketRule(domains, types, protocols, reaction.deny, reaction.audit, origin)] = None

    def _add_ptrace(self, permissions: PtracePermission, reaction: Reaction, origin: str) -> None:
        rule = PtraceRule(permissions, everywhere=False, deny=reaction.deny, audit=reaction.audit, origin=origin)
        self.ptrace[rule] = None

    def _add_mount(self, form: MountForm, reaction: Reaction, origin: str) -> None:
        flag = mount_flags(MOUNT_FLAGS[word] for word in form.flags) if form.flags else EVERY_MOUNT
        rule = MountRule(
            self._with_disks(form.source), form.fstype, flag.flags, flag.reverse, reaction.deny, reaction.audit, origin,
            self._with_disks(form.target),
        )  # fmt: skip
        self.mounts[rule] = None

    def build(self, allow: AllowList | None = None, executables: tuple[ExecutableRules, ...] = ()) -> BpfProfile:
        """All rules as one profile."""
        return BpfProfile(
            paths=tuple(self.paths),
            egress=tuple(self.egress),
            mounts=tuple(self.mounts),
            capabilities=tuple(self.capabilities),
            switches=tuple(self.switches),
            sockets=tuple(self.sockets),
            ptrace=tuple(self.ptrace),
            allow=allow,
            executables=executables,
        )


def executable_rules(
    whole: BpfProfile, selected: Sequence[Selected], reaction: Reaction, facts: NodeFacts
) -> tuple[ExecutableRules, ...]:
    """The rules of each program that ``selected`` names as target: all of the workload's (``whole``), and its own."""
    found: list[ExecutableRules] = []
    for group in group_by_executable([item for item in selected if item.rule.bpf is not None]):
        builder = BpfBuilder(facts)
        builder.add_selected(group.selected, reaction)
        found.append(ExecutableRules(group.executables, _joined(whole, builder.build())))
    return tuple(found)


def _alternatives(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


def _joined(whole: BpfProfile, more: BpfProfile) -> BpfProfile:
    return replace(
        whole,
        paths=_both(whole.paths, more.paths),
        egress=_both(whole.egress, more.egress),
        mounts=_both(whole.mounts, more.mounts),
        capabilities=_both(whole.capabilities, more.capabilities),
        switches=_both(whole.switches, more.switches),
        sockets=_both(whole.sockets, more.sockets),
        ptrace=_both(whole.ptrace, more.ptrace),
        executables=(),
    )


def _both(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys((*first, *second)))

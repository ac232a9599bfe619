# SPDX-License-Identifier: Apache-2.0
"""The BPF enforcer's rules: runtime default, built-in rules and ``bpfRawRules``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from varmor.catalog.capabilities import NUMBERS
from varmor.catalog.types import BpfForm
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import (
    Access,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    MountRule,
    PathRule,
    SwitchRule,
)

RUNTIME_DEFAULT = "runtime-default"
WRITE = Access.WRITE | Access.APPEND
ALL_FLAGS = 0xFFFFFFFF

_ACCESS = {"read": Access.READ, "write": WRITE, "exec": Access.EXEC}

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
    """Collects rules in order; equal rules are kept once."""

    paths: dict[PathRule, None] = field(default_factory=dict)
    egress: dict[EgressRule, None] = field(default_factory=dict)
    mounts: dict[MountRule, None] = field(default_factory=dict)
    capabilities: dict[CapabilityRule, None] = field(default_factory=dict)
    switches: dict[SwitchRule, None] = field(default_factory=dict)

    def add_runtime_default(self, *, audit: bool) -> None:
        """Refuse what a container runtime's AppArmor profile refuses."""
        for pattern in _CLOSED:
            access = Access.READ | WRITE
            self.paths[PathRule(pattern, access, deny=True, audit=audit, origin=RUNTIME_DEFAULT)] = None
        for pattern in _NOT_WRITTEN:
            self.paths[PathRule(pattern, WRITE, deny=True, audit=audit, origin=RUNTIME_DEFAULT)] = None
        self._add_mount("**", "*", Reaction(deny=True, audit=audit), RUNTIME_DEFAULT)

    def add_selected(self, selected: Sequence[Selected], reaction: Reaction) -> None:
        """Add the built-in rules that this enforcer can express."""
        for item in selected:
            if item.rule.bpf is not None and not reaction.nothing:
                self._add_form(item.rule.bpf, reaction, item.rule.name)

    def _add_form(self, form: BpfForm, reaction: Reaction, origin: str) -> None:
        for path in form.paths:
            access = Access(0)
            for word in path.access:
                access |= _ACCESS[word]
            self.paths[PathRule(path.pattern, access, reaction.deny, reaction.audit, origin)] = None
        for address in form.egress:
            self.egress[EgressRule(ip_network(address), (), reaction.deny, reaction.audit, origin)] = None
        for mount in form.mounts:
            self._add_mount(mount.source, mount.fstype, reaction, origin)
        if form.capabilities:
            mask = sum(1 << NUMBERS[name] for name in form.capabilities)
            self.capabilities[CapabilityRule(mask, reaction.deny, reaction.audit, origin)] = None
        for operation in form.switches:
            self.switches[SwitchRule(operation, reaction.deny, reaction.audit, origin)] = None

    def _add_mount(self, source: str, fstype: str, reaction: Reaction, origin: str) -> None:
        rule = MountRule(source, fstype, ALL_FLAGS, ALL_FLAGS, reaction.deny, reaction.audit, origin)
        self.mounts[rule] = None

    def build(self) -> BpfProfile:
        """All rules as one profile."""
        return BpfProfile(
            tuple(self.paths), tuple(self.egress), tuple(self.mounts), tuple(self.capabilities), tuple(self.switches)
        )

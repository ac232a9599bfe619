# SPDX-License-Identifier: Apache-2.0
"""Built-in rules as values: what a rule is for, and how each enforcer says it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from varmor.policy.types import Enforcer, SyscallArg


class RuleList(enum.StrEnum):
    """The lists of ``enhanceProtect`` that name built-in rules."""

    HARDENING = "hardeningRules"
    ATTACK_PROTECTION = "attackProtectionRules"
    VUL_MITIGATION = "vulMitigationRules"


@dataclass(frozen=True, slots=True)
class AppArmorForm:
    """Rule bodies without qualifier and comma; ``parser`` is the oldest apparmor_parser that knows them.

    ``@{disks}`` in a body stands for the names of the node's disks. ``kernel`` is the oldest Linux whose AppArmor
    enforces the bodies.
    """

    rules: tuple[str, ...]
    parser: tuple[int, int] = (3, 0)
    kernel: tuple[int, int] = (4, 15)


@dataclass(frozen=True, slots=True)
class PathForm:
    """A path glob of the BPF enforcer with the accesses it is about: ``read``, ``write``, ``exec``."""

    pattern: str
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MountForm:
    """Mounts of ``source`` on ``target`` (path globs) with file system ``fstype`` (a name or ``*``).

    ``flags`` are words of ``bpfRawRules.mounts`` (``bind``, ``remount``, ``umount`` ...), any of which must be in the
    request; without any it is about every mount but umount.
    """

    source: str = "**"
    fstype: str = "*"
    target: str = "**"
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SocketForm:
    """Sockets, in the words of ``bpfRawRules.network.sockets``. Empty means any."""

    domains: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortForm:
    """Connections to some ports of an address or network; an empty ``network`` means any address."""

    ports: tuple[int, ...]
    network: str = ""


@dataclass(frozen=True, slots=True)
class BpfForm:
    """What the BPF enforcer refuses for a rule.

    ``egress`` holds addresses or networks, all ports of them, ``ports`` single ports, ``services`` Kubernetes services
    as ``namespace/name``, ``ptrace`` words of ``bpfRawRules.ptrace.permissions`` (across the workload's border).
    ``@{disks}`` in a path stands for the names of the node's disks. ``kernel`` is the oldest Linux that has the hooks.
    """

    paths: tuple[PathForm, ...] = ()
    egress: tuple[str, ...] = ()
    ports: tuple[PortForm, ...] = ()
    services: tuple[str, ...] = ()
    sockets: tuple[SocketForm, ...] = ()
    ptrace: tuple[str, ...] = ()
    mounts: tuple[MountForm, ...] = ()
    capabilities: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    kernel: tuple[int, int] = (6, 1)


@dataclass(frozen=True, slots=True)
class SyscallForm:
    """Syscalls that seccomp refuses with ``errno`` when all ``args`` hold.

    ``observable`` is false for an entry that exists only to make libc use another call: letting it pass and recording
    it would say nothing about a violation.
    """

    names: tuple[str, ...]
    errno: int = 1
    args: tuple[SyscallArg, ...] = ()
    observable: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A built-in rule.

    ``summary`` says what is blocked, ``attack`` what it stops, ``breaks`` which legitimate work it stops too. ``unit``
    holds directives of systemd that say for a service what its seccomp form says for a container. ``cves`` are
    vulnerabilities whose known exploits the rule stops. ``cannot`` says for an enforcer without a form why it has none,
    ``limits`` for one with a form what that form does not reach.
    """

    name: str
    list: RuleList
    summary: str
    attack: str
    breaks: str
    aliases: tuple[str, ...] = ()
    apparmor: AppArmorForm | None = None
    bpf: BpfForm | None = None
    seccomp: tuple[SyscallForm, ...] = ()
    unit: tuple[tuple[str, str], ...] = ()
    cves: tuple[str, ...] = ()
    cannot: tuple[tuple[Enforcer, str], ...] = ()
    limits: tuple[tuple[Enforcer, str], ...] = ()

    def reason(self, enforcer: Enforcer) -> str:
        """Why this single enforcer has no form; empty when it has one."""
        return dict(self.cannot).get(enforcer, "")

    def limit(self, enforcer: Enforcer) -> str:
        """What the form of this single enforcer does not reach; empty when nothing is known."""
        return dict(self.limits).get(enforcer, "")

    @property
    def enforcers(self) -> Enforcer:
        """The enforcers that can express the rule."""
        return (
            (Enforcer.APPARMOR if self.apparmor else Enforcer(0))
            | (Enforcer.BPF if self.bpf else Enforcer(0))
            | (Enforcer.SECCOMP if self.seccomp else Enforcer(0))
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """All built-in rules, sorted by name."""

    rules: tuple[Rule, ...]

    def find(self, name: str) -> Rule | None:
        """The rule of that name or alias; upper case and ``_`` for ``-`` are accepted."""
        wanted = canonical(name)
        return next((rule for rule in self.rules if wanted == rule.name or wanted in rule.aliases), None)

    def names(self) -> tuple[str, ...]:
        """All names and aliases."""
        return tuple(name for rule in self.rules for name in (rule.name, *rule.aliases))


def canonical(name: str) -> str:
    """The spelling of a rule's name in the catalog."""
    return name.strip().lower().replace("_", "-")

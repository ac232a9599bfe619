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
    """Rule bodies without qualifier and comma; ``parser`` is the oldest apparmor_parser that knows them."""

    rules: tuple[str, ...]
    parser: tuple[int, int] = (3, 0)


@dataclass(frozen=True, slots=True)
class PathForm:
    """A path glob of the BPF enforcer with the accesses it is about: ``read``, ``write``, ``exec``."""

    pattern: str
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MountForm:
    """Mounts of ``source`` (a path glob) with file system ``fstype`` (a name or ``*``), whatever the flags."""

    source: str
    fstype: str


@dataclass(frozen=True, slots=True)
class BpfForm:
    """What the BPF enforcer refuses for a rule. ``egress`` holds addresses or networks."""

    paths: tuple[PathForm, ...] = ()
    egress: tuple[str, ...] = ()
    mounts: tuple[MountForm, ...] = ()
    capabilities: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()


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
    holds directives of systemd that say for a service what its seccomp form says for a container.
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

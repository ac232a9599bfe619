# SPDX-License-Identifier: Apache-2.0
"""Which rule of a profile is behind an event of the BPF enforcer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from varmor.kernel.bpf.events import BpfEvent
from varmor.kernel.bpf.layout import Hook
from varmor.profile.glob import regex
from varmor.profile.tables import ALLOW_LIST, origin_of
from varmor.profile.types import AllowList, BpfProfile, MountRule, PtraceRule, SocketRule

MOUNT_HOOKS = (Hook.MOUNT, Hook.MOVE_MOUNT, Hook.UMOUNT)
_UMOUNT = 0x200
_WITHOUT_SOURCE = 32 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20  # remount and propagation: the source means nothing


class _Rule(Protocol):
    @property
    def deny(self) -> bool: ...
    @property
    def audit(self) -> bool: ...
    @property
    def origin(self) -> str: ...


def origin(event: BpfEvent, profile: BpfProfile) -> str:
    """The ``origin`` of the first rule that explains an event; ``allow-list`` when it was for want of an entry there.

    The rules of the workload come before those of its programs. Empty when no rule explains it (the profile has changed
    since).
    """
    if event.path and event.hook not in MOUNT_HOOKS:
        return origin_of(profile, event.path, event.access, denied=event.denied)
    parts = (profile, *(group.profile for group in profile.executables))
    return next((found for part in parts if (found := _in_part(event, part))), "")


def _in_part(event: BpfEvent, profile: BpfProfile) -> str:
    for rule in _rules(event, profile):
        if rule.deny if event.denied else rule.audit:
            return rule.origin
    allow = profile.allow
    return ALLOW_LIST if allow is not None and _is_by_default(event, allow) else ""


def _rules(event: BpfEvent, profile: BpfProfile) -> Iterable[_Rule]:
    """The rules that speak about what the event tells of."""
    if event.capability is not None:
        wanted = 1 << event.capability
        return [rule for rule in profile.capabilities if rule.mask & wanted]
    if event.address is not None:
        return [rule for rule in profile.egress if _reaches(event, rule.network, rule.ports)]
    if event.hook in MOUNT_HOOKS:
        return [rule for rule in profile.mounts if _is_mount(event, rule)]
    if event.socket is not None:
        return [rule for rule in profile.sockets if _is_socket(event, rule)]
    if event.process is not None:
        return _about_process(event, profile.ptrace)
    return [rule for rule in profile.switches if event.operation and rule.operation == event.operation]


def _is_by_default(event: BpfEvent, allow: AllowList) -> bool:
    """Whether an allow-list refuses (or records) what no rule states. Every kind of rule has a list of its own."""
    return (allow.deny if event.denied else allow.audit) and event.hook is not Hook.SECCOMP


def _reaches(event: BpfEvent, network: Any, ports: tuple[tuple[int, int], ...]) -> bool:
    inside = network is None or (event.address is not None and event.address in network)
    return inside and (not ports or any(low <= event.port <= high for low, high in ports))


def _is_mount(event: BpfEvent, rule: MountRule) -> bool:
    if rule.fstype not in (event.fstype, "*") or not _has_flags(event, rule):
        return False
    if not event.target and not event.path:  # a file system as such: a rule for any source and target
        return True
    sources = [event.path]
    if event.mount_flags & _WITHOUT_SOURCE:
        sources.append(event.target)
    return _matches(rule.target, event.target) and any(_matches(rule.source, source) for source in sources)


def _has_flags(event: BpfEvent, rule: MountRule) -> bool:
    if event.mount_flags == _UMOUNT:
        return bool(rule.flags & _UMOUNT)
    return bool(event.mount_flags & rule.flags or ~event.mount_flags & rule.reverse)


def _matches(pattern: str, text: str) -> bool:
    return regex(pattern).fullmatch(text.encode("utf-8", "surrogateescape")) is not None


def _is_socket(event: BpfEvent, rule: SocketRule) -> bool:
    asked = event.socket
    if asked is None:
        return False
    masks = ((rule.domains, 1 << asked.domain), (rule.types, 1 << asked.type), (rule.protocols, asked.protocols))
    return all(not mask or mask & bits for mask, bits in masks)


def _about_process(event: BpfEvent, rules: Sequence[PtraceRule]) -> list[PtraceRule]:
    """Rules that hold everywhere come last: the event does not tell whether the workload's border was crossed."""
    asked = event.process
    found = [rule for rule in rules if asked is not None and rule.permissions & asked.act]
    return sorted(found, key=lambda rule: rule.everywhere)

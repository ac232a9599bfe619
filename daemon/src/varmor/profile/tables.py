# SPDX-License-Identifier: Apache-2.0
"""The rules of the BPF enforcer as tables: what the programs in the kernel read, before it has a place in the maps.

The limits here are those of daemon/bpf/varmor.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from varmor.errors import VarmorError
from varmor.profile.automaton import Automaton, TooManyStatesError, build
from varmor.profile.egress import NetworkEntry, fold
from varmor.profile.glob import is_anchored, regex
from varmor.profile.types import Access, BpfProfile, MountRule, PathRule

MAX_AUTOMATA = 8
MAX_MOUNT_RULES = 32
MAX_PORT_RANGES = 4096
MAX_STATES = 100_000
FSTYPE_BYTES = 15
SWITCHES = {"userns_create": 1}

_STATES_FLOOR = 2000
_STATES_PER_CHARACTER = 4
_DENY = 0xFF
_AUDIT_SHIFT = 8
_BELOW_SHIFT = 16


class ProfileTooComplexError(VarmorError):
    """The rules of a profile do not fit the tables in the kernel, or cannot be said there."""


@dataclass(frozen=True, slots=True)
class MountEntry:
    """A mount rule. Bit N of the source automaton's value stands for entry N."""

    flags: int
    reverse: int
    fstype: str
    deny: bool
    audit: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """All of a profile. Values of ``automata`` are accept words: denials, records << 8, denials below << 16."""

    automata: tuple[Automaton, ...] = ()
    mount_source: Automaton | None = None
    mounts: tuple[MountEntry, ...] = ()
    networks: tuple[NetworkEntry, ...] = ()
    paths_deny: int = 0
    paths_audit: int = 0
    capabilities_deny: int = 0
    capabilities_audit: int = 0
    switches_deny: int = 0
    switches_audit: int = 0

    @property
    def all_automata(self) -> tuple[Automaton, ...]:
        """Those for paths, then the one for mount sources if there is one."""
        return self.automata if self.mount_source is None else (*self.automata, self.mount_source)


def encode(profile: BpfProfile) -> Tables:
    """The tables of a profile.

    Raises:
        GlobError: a pattern cannot be read.
        ProfileTooComplexError: a limit of the kernel's tables is passed; the message says which rules to change.
    """
    mounts = _effective_mounts(profile.mounts)
    return Tables(
        automata=_path_automata([rule for rule in profile.paths if rule.access and (rule.deny or rule.audit)]),
        mount_source=_mount_automaton(mounts) if mounts else None,
        mounts=tuple(_mount_entry(rule) for rule in mounts),
        networks=_networks(profile),
        paths_deny=_union(rule.access for rule in profile.paths if rule.deny),
        paths_audit=_union(rule.access for rule in profile.paths if rule.audit),
        capabilities_deny=_union(rule.mask for rule in profile.capabilities if rule.deny),
        capabilities_audit=_union(rule.mask for rule in profile.capabilities if rule.audit),
        switches_deny=_union(_switch(rule.operation) for rule in profile.switches if rule.deny),
        switches_audit=_union(_switch(rule.operation) for rule in profile.switches if rule.audit),
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

    Empty when no rule of the profile does (the event is older than the profile).
    """
    text = path.encode("utf-8", "surrogateescape")
    for rule in profile.paths:
        if rule.access & access and (rule.deny if denied else rule.audit) and regex(rule.pattern).fullmatch(text):
            return rule.origin
    return ""


def _path_automata(rules: Sequence[PathRule]) -> tuple[Automaton, ...]:
    """Rules that begin with ``/**`` apart from the others: together they would need the product of their states."""
    groups: tuple[list[PathRule], list[PathRule]] = ([], [])
    for rule in rules:
        groups[0 if is_anchored(rule.pattern) else 1].append(rule)
    automata = [automaton for group in groups if group for automaton in _split(group, rules)]
    if len(automata) > MAX_AUTOMATA:
        raise ProfileTooComplexError(
            f"the {len(rules)} path rules need {len(automata)} automata, the kernel side runs {MAX_AUTOMATA}: "
            "write fewer patterns that hold '**' more than once"
        )
    return tuple(automata)


def _split(rules: Sequence[PathRule], all_rules: Sequence[PathRule]) -> list[Automaton]:
    """One automaton, or, when its states explode, those of the two halves."""
    characters = sum(len(rule.pattern) for rule in rules)
    limit = min(MAX_STATES, max(_STATES_FLOOR, characters * _STATES_PER_CHARACTER))
    values = [(rule.pattern, _value(rule)) for rule in rules]
    try:
        return [_with_denials_below(build(values, limit))]
    except TooManyStatesError as error:
        if len(rules) == 1:
            raise ProfileTooComplexError(
                f"the path pattern {rules[0].pattern!r} ({rules[0].origin}) alone needs more than {error.states} "
                f"states in the kernel's tables (of {len(all_rules)} rules it is the one to simplify)"
            ) from error
    half = len(rules) // 2
    return _split(rules[:half], all_rules) + _split(rules[half:], all_rules)


def _value(rule: PathRule) -> int:
    return (int(rule.access) if rule.deny else 0) | ((int(rule.access) if rule.audit else 0) << _AUDIT_SHIFT)


def _with_denials_below(automaton: Automaton) -> Automaton:
    below = automaton.below(_DENY)
    accepts = tuple(
        accept | following << _BELOW_SHIFT for accept, following in zip(automaton.accepts, below, strict=True)
    )
    return Automaton(automaton.columns, automaton.width, automaton.rows, accepts)


def _effective_mounts(rules: Sequence[MountRule]) -> list[MountRule]:
    found = [rule for rule in rules if rule.deny or rule.audit]
    if len(found) > MAX_MOUNT_RULES:
        raise ProfileTooComplexError(
            f"the profile has {len(found)} mount rules, the kernel side takes {MAX_MOUNT_RULES}: join some of them"
        )
    return found


def _mount_automaton(rules: Sequence[MountRule]) -> Automaton:
    try:
        return build([(rule.source, 1 << number) for number, rule in enumerate(rules)], MAX_STATES)
    except TooManyStatesError as error:
        raise ProfileTooComplexError(f"the sources of the {len(rules)} mount rules: {error}; simplify them") from error


def _mount_entry(rule: MountRule) -> MountEntry:
    if len(rule.fstype.encode()) > FSTYPE_BYTES or not rule.fstype or "\0" in rule.fstype:
        raise ProfileTooComplexError(
            f"the file system type {rule.fstype!r} of a mount rule ({rule.origin}): expected 1 to {FSTYPE_BYTES} bytes"
        )
    return MountEntry(rule.flags & 0xFFFFFFFF, rule.reverse & 0xFFFFFFFF, rule.fstype, rule.deny, rule.audit)


def _networks(profile: BpfProfile) -> tuple[NetworkEntry, ...]:
    entries = fold(profile.egress)
    for entry in entries:
        if len(entry.ranges) > MAX_PORT_RANGES:
            raise ProfileTooComplexError(
                f"the egress rules give {len(entry.ranges)} separate port ranges for {entry.network}, the kernel side "
                f"takes {MAX_PORT_RANGES}: join some of them"
            )
    return entries

# SPDX-License-Identifier: Apache-2.0
"""The automata of a profile: path rules, sources and targets of mounts, programs with rules of their own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from varmor.errors import VarmorError
from varmor.profile.automaton import Automaton, TooManyStatesError, build
from varmor.profile.glob import is_anchored
from varmor.profile.types import Access, AllowList, ExecutableRules, PathRule

MAX_AUTOMATA = 8
MAX_STATES = 100_000
MAP_PROGRAM = 32
"""Beside the bits of :class:`Access`: a program is mapped executable, a file that execve(2) would run. Whoever may not
execute it may not have the dynamic loader do that either."""

_STATES_FLOOR = 2000
_STATES_PER_CHARACTER = 4
_DENY = 0xFF
_AUDIT_SHIFT = 8
_BELOW_SHIFT = 16
_ALLOW_SHIFT = 24
_COMPONENTS = frozenset(("", ".", ".."))
_GLOB_SIGNS = re.compile(r"[\\*?{}\[\],]")


class ProfileTooComplexError(VarmorError):
    """The rules of a profile do not fit the tables in the kernel, or cannot be said there."""


def with_map(access: Access) -> Access:
    """Whoever may execute a file may map it executable, and the other way round."""
    return access | Access.MAP if access & Access.EXEC else access


def refused_access(rule: PathRule) -> int:
    """A rule about execution does not reach libraries, however wide its pattern: they are mapped, never executed."""
    return int(rule.access) | (MAP_PROGRAM if rule.access & Access.EXEC else 0)


@dataclass(frozen=True, slots=True)
class _PathValue:
    """A pattern with its part of the accept word, and the rule that it comes from."""

    rule: PathRule
    value: int


def _effective_paths(rules: Sequence[PathRule], allow: AllowList) -> list[_PathValue]:
    found = []
    for rule in rules:
        access = refused_access(rule)
        value = (access if rule.deny else 0) | ((access if rule.audit else 0) << _AUDIT_SHIFT)
        found.append(_PathValue(rule, value))
    if allow.deny or allow.audit:
        found += [_PathValue(rule, int(with_map(rule.access)) << _ALLOW_SHIFT) for rule in allow.paths]
    return [item for item in found if item.value]


def path_automata(path_rules: Sequence[PathRule], allow: AllowList) -> tuple[Automaton, ...]:
    """Rules that begin with ``/**`` apart from the others: together they would need the product of their states.

    Raises:
        GlobError: a pattern cannot be read.
        ProfileTooComplexError: they need too many states or automata.
    """
    rules = _effective_paths(path_rules, allow)
    groups: tuple[list[_PathValue], list[_PathValue]] = ([], [])
    for item in rules:
        groups[0 if is_anchored(item.rule.pattern) else 1].append(item)
    automata = [automaton for group in groups if group for automaton in _split(group, len(rules))]
    if len(automata) > MAX_AUTOMATA:
        raise ProfileTooComplexError(
            f"the {len(rules)} path rules need {len(automata)} automata, the kernel side runs {MAX_AUTOMATA}: "
            "write fewer patterns that hold '**' more than once"
        )
    return tuple(automata)


def _split(rules: Sequence[_PathValue], total: int) -> list[Automaton]:
    """One automaton, or, when its states explode, those of the two halves."""
    characters = sum(len(item.rule.pattern) for item in rules)
    limit = min(MAX_STATES, max(_STATES_FLOOR, characters * _STATES_PER_CHARACTER))
    try:
        return [_with_denials_below(build([(item.rule.pattern, item.value) for item in rules], limit))]
    except TooManyStatesError as error:
        if len(rules) == 1:
            raise ProfileTooComplexError(
                f"the path pattern {rules[0].rule.pattern!r} ({rules[0].rule.origin}) alone needs more than "
                f"{error.states} states in the kernel's tables (of {total} rules it is the one to simplify)"
            ) from error
    half = len(rules) // 2
    return _split(rules[:half], total) + _split(rules[half:], total)


def _with_denials_below(automaton: Automaton) -> Automaton:
    below = automaton.below(_DENY)
    accepts = tuple(
        accept | following << _BELOW_SHIFT for accept, following in zip(automaton.accepts, below, strict=True)
    )
    return Automaton(automaton.columns, automaton.width, automaton.rows, accepts)


def mount_automaton(patterns: Sequence[str], what: str) -> Automaton:
    """Bit N of a value stands for the rule with pattern N; ``what`` names them in an error."""
    try:
        return build([(pattern, 1 << number) for number, pattern in enumerate(patterns)], MAX_STATES)
    except TooManyStatesError as error:
        raise ProfileTooComplexError(
            f"the {what} of the {len(patterns)} mount rules: {error}; simplify them"
        ) from error


def executable_number(path: str) -> int:
    """The number of a program in the kernel's tables: the same in every revision, never 0."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "little") or 1


def executable_numbers(groups: Sequence[ExecutableRules]) -> dict[str, int]:
    """Programs with their numbers.

    Raises:
        ProfileTooComplexError: one has two sets of rules, is no absolute path, or shares its number with another.
    """
    numbers: dict[str, int] = {}
    for path in _executables(groups):
        number = executable_number(path)
        for other, used in numbers.items():
            if used == number:
                raise ProfileTooComplexError(
                    f"the executables {other!r} and {path!r} have the same number in the kernel's tables: name one of "
                    "them by another path, such as that of a link"
                )
        numbers[path] = number
    return numbers


def _executables(groups: Sequence[ExecutableRules]) -> Iterator[str]:
    seen = set()
    for group in groups:
        for path in group.executables:
            if not path.startswith("/") or "\0" in path or not _COMPONENTS.isdisjoint(path.split("/")[1:]):
                raise ProfileTooComplexError(
                    f"the executable {path!r}: expected an absolute path without empty parts, '.' and '..'"
                )
            if path in seen:
                raise ProfileTooComplexError(f"the executable {path!r} has two sets of rules: join them")
            seen.add(path)
            yield path


def executable_automaton(numbers: dict[str, int]) -> Automaton:
    """The values are the numbers of :func:`executable_numbers`."""
    try:
        return build([(_GLOB_SIGNS.sub(r"\\\g<0>", path), number) for path, number in numbers.items()], MAX_STATES)
    except TooManyStatesError as error:
        raise ProfileTooComplexError(
            f"the {len(numbers)} executables with rules of their own: {error}; name fewer of them"
        ) from error

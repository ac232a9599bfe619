# SPDX-License-Identifier: Apache-2.0
"""Where two sets of path rules decide differently, by comparing the languages and not the lists.

All automata of both sides run side by side, in step with one more that follows the rules that differ: where that one is
dead, both sides say the same and nothing needs to be looked at. The search is by breadth, so the examples are the
shortest there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from varmor.advice.path_rules import PathRules, PathVerdictRule, Verdict
from varmor.errors import VarmorError
from varmor.profile.automaton import DEAD, START, Automaton, TooManyStatesError, build
from varmor.profile.glob import is_anchored

MAX_STATES = 50_000
MAX_PRODUCT_STATES = 200_000
_EVERYTHING = "/**"


class TooDifferentError(VarmorError):
    """The rules differ in too many ways for an exact comparison."""


@dataclass(frozen=True, slots=True)
class PathChange:
    """One access to paths of ``pattern`` that the two sides judge differently; ``example`` is such a path."""

    access: str
    pattern: str
    example: str
    before: Verdict
    after: Verdict
    origin: str


def compare_paths(old: PathRules, new: PathRules) -> list[PathChange]:
    """All changes, one for each pair of rule and access.

    Raises:
        TooDifferentError: the automata of both sides together are too large.
    """
    rules = tuple(dict.fromkeys((*old.rules, *new.rules)))
    changed = _changed_patterns(old, new)
    if not changed:
        return []
    search = _Search(rules, changed)
    before = [rule in set(old.rules) for rule in rules]
    after = [rule in set(new.rules) for rule in rules]
    accesses = sorted({*old.accesses(), *new.accesses()})
    found: dict[tuple[str, str, Verdict, Verdict], PathChange] = {}
    judged: set[int] = set()
    for matched, state in search.run():
        if matched in judged:  # the same rules match as at a shorter path
            continue
        judged.add(matched)
        matching = [index for index in range(len(rules)) if matched >> index & 1]
        ours = [rules[index] for index in matching if before[index]]
        theirs = [rules[index] for index in matching if after[index]]
        for access in accesses:
            first, second = old.judge(ours, access)[0], new.judge(theirs, access)[0]
            if first != second:
                rule = _responsible(ours, theirs, access)
                pattern = rule.pattern if rule else _EVERYTHING
                key = (access, pattern, first, second)
                if key not in found:
                    origin = rule.origin if rule else ""
                    found[key] = PathChange(access, pattern, search.path(state), first, second, origin)
    return list(found.values())


def _changed_patterns(old: PathRules, new: PathRules) -> list[str]:
    defaults = (old.default_denied, old.default_recorded, old.silent_deny)
    if defaults != (new.default_denied, new.default_recorded, new.silent_deny):
        return [_EVERYTHING]
    return sorted({rule.pattern for rule in set(old.rules) ^ set(new.rules)})


def _responsible(
    ours: Sequence[PathVerdictRule], theirs: Sequence[PathVerdictRule], access: str
) -> PathVerdictRule | None:
    """The rule to name: one that only one side has, the most specific first."""
    common = set(ours) & set(theirs)
    candidates = [rule for rule in (*theirs, *ours) if rule not in common and access in rule.access]
    return max(candidates, key=lambda rule: len(rule.pattern), default=None)


class _Search:
    """A walk over the product of all automata."""

    def __init__(self, rules: Sequence[PathVerdictRule], changed: Iterable[str]) -> None:
        values = [(rule.pattern, 1 << index) for index, rule in enumerate(rules)]
        try:
            focus = build([(pattern, 1) for pattern in changed], MAX_STATES)
            groups = [[pair for pair in values if is_anchored(pair[0]) is side] for side in (True, False)]
            self._automata = [focus, *(part for group in groups if group for part in _built(group))]
        except TooManyStatesError as error:
            raise TooDifferentError(str(error)) from error
        self._bytes = _representatives(self._automata)
        self._parents: dict[tuple[int, ...], tuple[tuple[int, ...], int] | None] = {}

    def run(self) -> Iterable[tuple[int, tuple[int, ...]]]:
        """For each product state where a changed rule matches: the mask of all rules that match, and the state."""
        start = (START,) * len(self._automata)
        self._parents = {start: None}
        waiting = deque([start])
        while waiting:
            state = waiting.popleft()
            if self._automata[0].accepts[state[0]]:
                matched = 0
                for automaton, part in zip(self._automata[1:], state[1:], strict=True):
                    matched |= automaton.accepts[part]
                yield matched, state
            for byte in self._bytes:
                following = self._step(state, byte)
                if following[0] == DEAD or following in self._parents:
                    continue
                if len(self._parents) >= MAX_PRODUCT_STATES:
                    raise TooDifferentError(f"more than {MAX_PRODUCT_STATES} states to compare")
                self._parents[following] = (state, byte)
                waiting.append(following)

    def _step(self, state: tuple[int, ...], byte: int) -> tuple[int, ...]:
        return tuple(
            [
                automaton.rows[part * automaton.width + automaton.columns[byte]]
                for automaton, part in zip(self._automata, state, strict=True)
            ]
        )

    def path(self, state: tuple[int, ...]) -> str:
        """The shortest path that leads to the state."""
        out = bytearray()
        parent = self._parents[state]
        while parent is not None:
            state, byte = parent
            out.append(byte)
            parent = self._parents[state]
        return out[::-1].decode("utf-8", "backslashreplace")


def _built(values: Sequence[tuple[str, int]]) -> list[Automaton]:
    try:
        return [build(values, MAX_STATES)]
    except TooManyStatesError:
        if len(values) == 1:
            raise
    half = len(values) // 2
    return _built(values[:half]) + _built(values[half:])


def _representatives(automata: Sequence[Automaton]) -> list[int]:
    """One byte for each class that no automaton tells apart, readable ones first."""
    readable = [*b"/", *b"abcdefghijklmnopqrstuvwxyz", *b"0123456789", *range(33, 127)]
    order = list(dict.fromkeys([*readable, *range(1, 256)]))
    seen: dict[tuple[int, ...], int] = {}
    for byte in order:
        seen.setdefault(tuple(automaton.columns[byte] for automaton in automata), byte)
    return list(seen.values())

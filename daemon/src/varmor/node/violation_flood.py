# SPDX-License-Identifier: Apache-2.0
"""Floods of violations: beyond a burst they are counted, and the count is written. None is dropped in silence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace

from varmor.node.violation_record import Violation

_LARGEST_TABLE = 4096


@dataclass(slots=True)
class _Window:
    ends: float
    passed: int = 0
    held: int = 0
    last: Violation | None = None


class Folder:
    """Lets ``burst`` violations of a kind pass in ``seconds`` and folds the rest of that time into one.

    ``kind`` tells which violations are of one kind, ``word`` what the folded one says about it. All times are of
    one monotonic clock, in seconds.
    """

    def __init__(self, burst: int, seconds: float, kind: Callable[[Violation], Hashable], word: str) -> None:
        self._burst = burst
        self._seconds = seconds
        self._kind = kind
        self._word = word
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def offer(self, violation: Violation, now: float) -> Iterator[Violation]:
        """What is to be written now: folded ones that became due, then this one unless it is held back."""
        yield from self.due(now)
        kind = self._kind(violation)
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= _LARGEST_TABLE:
                yield from self._fold(self._windows.popitem(last=False)[1])
            window = self._windows[kind] = _Window(now + self._seconds)
        if window.passed < self._burst:
            window.passed += 1
            yield violation
            return
        window.held += violation.count
        window.last = violation

    def due(self, now: float) -> Iterator[Violation]:
        """The folded violations whose time is over. Windows end in the order in which they began."""
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            if window.ends > now:
                return
            del self._windows[kind]
            yield from self._fold(window)

    def all(self) -> Iterator[Violation]:
        """All folded violations, for the end."""
        while self._windows:
            yield from self._fold(self._windows.popitem(last=False)[1])

    def _fold(self, window: _Window) -> Iterator[Violation]:
        if window.held and window.last is not None:
            yield replace(window.last, count=window.held, folded=self._word)


def identical(violation: Violation) -> Hashable:
    """Same workload, enforcer and event."""
    workload = violation.workload.id if violation.workload else ""
    return (workload, violation.profile, violation.enforcer, violation.action, violation.key)


def same_workload(violation: Violation) -> Hashable:
    """Same workload and enforcer, whatever the event."""
    return (violation.workload.id if violation.workload else violation.profile, violation.enforcer)

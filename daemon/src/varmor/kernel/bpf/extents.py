# SPDX-License-Identifier: Apache-2.0
"""Who owns which part of a table: an allocator that can be rebuilt from the parts in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from varmor.errors import VarmorError


class TableFullError(VarmorError):
    """A table in the kernel has no room for what is to be loaded."""


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """``count`` elements from ``first`` on."""

    first: int
    count: int

    @property
    def end(self) -> int:
        """The element after the last."""
        return self.first + self.count


class Extents:
    """The elements ``first`` to ``end - 1`` of a table called ``name``; first fit."""

    def __init__(self, name: str, first: int, end: int, used: Iterable[Extent] = ()) -> None:
        self._name = name
        self._first = first
        self._end = end
        self._used = sorted(extent for extent in used if extent.count)

    @property
    def free(self) -> int:
        """Elements that nobody owns."""
        return self._end - self._first - sum(extent.count for extent in self._used)

    def take(self, count: int) -> Extent:
        """A part of ``count`` elements.

        Raises:
            TableFullError: there is no gap that is large enough.
        """
        if count == 0:
            return Extent(0, 0)
        start = self._first
        for index, extent in enumerate([*self._used, Extent(self._end, 0)]):
            if extent.first - start >= count:
                taken = Extent(start, count)
                self._used.insert(index, taken)
                return taken
            start = extent.end
        raise TableFullError(
            f"the kernel table {self._name!r} has no room for {count} elements: {self.free} of "
            f"{self._end - self._first} are free, not in one piece; use fewer or simpler rules, or a larger table"
        )

    def give_back(self, extent: Extent) -> None:
        """Make a part free again."""
        if extent.count:
            self._used.remove(extent)

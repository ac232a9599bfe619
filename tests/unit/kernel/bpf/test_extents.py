# SPDX-License-Identifier: Apache-2.0
"""The allocator of the kernel's tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmor.kernel.bpf.extents import Extent, Extents, TableFullError


def test_first_fit() -> None:
    extents = Extents("t", 10, 30)
    first, second = extents.take(5), extents.take(5)
    assert (first, second) == (Extent(10, 5), Extent(15, 5))
    extents.give_back(first)
    assert extents.take(6) == Extent(20, 6)
    assert extents.take(3) == Extent(10, 3)
    assert extents.free == 6


def test_nothing_needs_no_place() -> None:
    extents = Extents("t", 0, 1)
    empty = extents.take(0)
    assert empty == Extent(0, 0)
    extents.give_back(empty)
    assert extents.free == 1


def test_full() -> None:
    extents = Extents("table", 0, 10, [Extent(4, 2)])
    with pytest.raises(TableFullError, match="'table' has no room for 5 elements: 8 of 10 are free"):
        extents.take(5)


def test_rebuilt_from_what_is_in_use() -> None:
    extents = Extents("t", 0, 10, [Extent(6, 2), Extent(0, 0), Extent(0, 2)])
    assert extents.take(4) == Extent(2, 4)
    assert extents.take(2) == Extent(8, 2)
    assert extents.free == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=40))
def test_parts_never_overlap(steps: list[tuple[bool, int]]) -> None:
    extents = Extents("t", 3, 60)
    owned: list[Extent] = []
    for give, number in steps:
        if give and owned:
            extents.give_back(owned.pop(number % len(owned)))
            continue
        try:
            owned.append(extents.take(number))
        except TableFullError:
            continue
        cells = [cell for extent in owned for cell in range(extent.first, extent.end)]
        assert len(cells) == len(set(cells))
        assert all(3 <= cell < 60 for cell in cells)
        assert extents.free == 57 - len(cells)

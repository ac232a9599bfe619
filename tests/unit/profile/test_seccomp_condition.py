# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmor.policy.types import SyscallArg
from varmor.profile.seccomp_condition import (
    ALWAYS,
    FULL,
    Cell,
    UnsayableError,
    cell_holds,
    complement,
    holds,
    intersect,
    make_cell,
    subtract,
)

OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
# Few values, so that comparisons meet; the ends of the range, so that they reach them.
values = st.sampled_from([0, 1, 2, 3, 4, 7, 8, 0x10000000, FULL - 1, FULL])


def _arg(index: int, op: str, value: int, value_two: int) -> SyscallArg:
    return SyscallArg(index, value, f"SCMP_CMP_{op}", value_two & value if op == "MASKED_EQ" else 0)


def args_strategy(indexes: int = 2) -> st.SearchStrategy[tuple[SyscallArg, ...]]:
    single = st.builds(_arg, st.integers(0, indexes - 1), st.sampled_from(OPERATORS), values, values)
    return st.lists(single, max_size=indexes, unique_by=lambda arg: arg.index).map(tuple)


cells = args_strategy().map(make_cell).filter(lambda cell: cell is not None).map(lambda cell: cell or ALWAYS)
points = st.tuples(values, values, *[st.just(0)] * 4)


@given(args_strategy(), points)
def test_normal_form_means_the_same(args: tuple[SyscallArg, ...], point: tuple[int, ...]) -> None:
    cell = make_cell(args)
    assert (cell is not None and cell_holds(cell, point)) is all(holds(arg, point[arg.index]) for arg in args)


@given(cells, cells, points)
def test_intersect(first: Cell, second: Cell, point: tuple[int, ...]) -> None:
    with contextlib.suppress(UnsayableError):
        both = intersect(first, second)
        expected = cell_holds(first, point) and cell_holds(second, point)
        assert (both is not None and cell_holds(both, point)) is expected


@given(cells, points)
def test_complement(cell: Cell, point: tuple[int, ...]) -> None:
    assert any(cell_holds(other, point) for other in complement(cell)) is not cell_holds(cell, point)


@given(cells, st.lists(cells, max_size=3), points)
def test_subtract(cell: Cell, others: list[Cell], point: tuple[int, ...]) -> None:
    pieces, exact = subtract(cell, others)
    wanted = cell_holds(cell, point) and not any(cell_holds(other, point) for other in others)
    found = any(cell_holds(piece, point) for piece in pieces)
    assert found <= wanted
    assert not exact or found == wanted


def test_never_true() -> None:
    assert make_cell((SyscallArg(0, 0, "SCMP_CMP_LT"),)) is None
    assert make_cell((SyscallArg(0, 1, "SCMP_CMP_MASKED_EQ", 2),)) is None
    assert make_cell((SyscallArg(0, FULL, "SCMP_CMP_GT"),)) is None


def test_unknown_comparison() -> None:
    with pytest.raises(ValueError, match="unknown comparison"):
        make_cell((SyscallArg(0, 0, "SCMP_CMP_LIKE"),))
    with pytest.raises(ValueError, match="unknown comparison"):
        holds(SyscallArg(0, 0, "SCMP_CMP_LIKE"), 0)


def test_masks_combine() -> None:
    first = (SyscallArg(0, 0x7E020000, "SCMP_CMP_MASKED_EQ", 0),)
    second = (SyscallArg(0, 0x80, "SCMP_CMP_MASKED_EQ", 0x80),)
    assert intersect(first, second) == (SyscallArg(0, 0x7E020080, "SCMP_CMP_MASKED_EQ", 0x80),)

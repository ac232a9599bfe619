# SPDX-License-Identifier: Apache-2.0
"""Conditions on syscall arguments as sets: intersection, complement and difference.

libseccomp compares each argument at most once in a rule. A conjunction of two comparisons of one argument can therefore
be said only where it is one comparison again; where it is not, the caller gets None and must choose the strict side.
"""

from __future__ import annotations

from dataclasses import dataclass

from varmor.policy.types import SyscallArg

FULL = (1 << 64) - 1
MAX_CELLS = 160
"""More regions of one call would bring a filter near the 4096 instructions that a kernel takes."""

Cell = tuple[SyscallArg, ...]
"""Comparisons that must all hold, at most one for each argument, sorted by its index."""

ALWAYS: Cell = ()


@dataclass(frozen=True, slots=True)
class _Bits:
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class _Range:
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class _Other:
    value: int


_Set = _Bits | _Range | _Other


def holds(arg: SyscallArg, actual: int) -> bool:
    """Whether the comparison is true for the argument's ``actual`` value."""
    match arg.op:
        case "SCMP_CMP_NE":
            return actual != arg.value
        case "SCMP_CMP_LT":
            return actual < arg.value
        case "SCMP_CMP_LE":
            return actual <= arg.value
        case "SCMP_CMP_EQ":
            return actual == arg.value
        case "SCMP_CMP_GE":
            return actual >= arg.value
        case "SCMP_CMP_GT":
            return actual > arg.value
        case "SCMP_CMP_MASKED_EQ":
            return actual & arg.value == arg.value_two
    raise ValueError(f"unknown comparison {arg.op!r}")


def cell_holds(cell: Cell, args: tuple[int, ...]) -> bool:
    """Whether all comparisons of the cell are true."""
    return all(holds(arg, args[arg.index]) for arg in cell)


def make_cell(args: tuple[SyscallArg, ...]) -> Cell | None:
    """The conjunction of ``args`` (one for each index) in normal form, None when it can never hold."""
    made: list[SyscallArg] = []
    for arg in sorted(args, key=lambda arg: arg.index):
        chosen = _to_set(arg)
        if chosen is None:
            return None
        made += _from_set(arg.index, chosen)
    return tuple(made)


def _to_set(arg: SyscallArg) -> _Set | None:
    """The values that satisfy the comparison; None when there are none."""
    match arg.op:
        case "SCMP_CMP_EQ":
            return _Bits(FULL, arg.value)
        case "SCMP_CMP_NE":
            return _Other(arg.value)
        case "SCMP_CMP_MASKED_EQ":
            return None if arg.value_two & ~arg.value else _Bits(arg.value, arg.value_two)
        case "SCMP_CMP_LT":
            return _range(0, arg.value - 1)
        case "SCMP_CMP_LE":
            return _range(0, arg.value)
        case "SCMP_CMP_GT":
            return _range(arg.value + 1, FULL)
        case "SCMP_CMP_GE":
            return _range(arg.value, FULL)
    raise ValueError(f"unknown comparison {arg.op!r}")


def _range(low: int, high: int) -> _Set | None:
    if low > high:
        return None
    return _Bits(FULL, low) if low == high else _Range(low, high)


def _from_set(index: int, chosen: _Set) -> list[SyscallArg]:
    match chosen:
        case _Bits(0, _) | _Range(0, 0xFFFFFFFFFFFFFFFF):
            return []
        case _Bits(mask, value) if mask == FULL:
            return [SyscallArg(index, value, "SCMP_CMP_EQ")]
        case _Bits(mask, value):
            return [SyscallArg(index, mask, "SCMP_CMP_MASKED_EQ", value)]
        case _Range(0, high):
            return [SyscallArg(index, high, "SCMP_CMP_LE")]
        case _Range(low, _):
            return [SyscallArg(index, low, "SCMP_CMP_GE")]
        case _Other(value):
            return [SyscallArg(index, value, "SCMP_CMP_NE")]


class UnsayableError(Exception):
    """Internal: a set of arguments that one comparison cannot describe."""


def _meet(first: _Set, second: _Set) -> _Set | None:
    """The intersection; None when empty.

    Raises:
        UnsayableError: it is not one comparison.
    """
    for one, other in ((first, second), (second, first)):
        if isinstance(one, _Bits) and one.mask == FULL:
            return one if _contains(other, one.value) else None
    match first, second:
        case _Bits(mask, value), _Bits(other_mask, other_value):
            if (value ^ other_value) & mask & other_mask:
                return None
            return _Bits(mask | other_mask, value | other_value)
        case _Range(low, high), _Range(other_low, other_high):
            return _sayable(max(low, other_low), min(high, other_high))
        case (_Other(value), other) | (other, _Other(value)):
            return _without_value(other, value)
        case (_Bits(mask, value), _Range(low, high)) | (_Range(low, high), _Bits(mask, value)):
            return _bits_in_range(_Bits(mask, value), low, high)
    raise UnsayableError


def _sayable(low: int, high: int) -> _Set | None:
    if 0 < low < high < FULL:
        raise UnsayableError
    return _range(low, high)


def _without_value(other: _Set, value: int) -> _Set | None:
    if not _contains(other, value) or other == _Other(value):
        return other
    match other:
        case _Range(low, high) if value == low:
            return _sayable(low + 1, high)
        case _Range(low, high) if value == high:
            return _sayable(low, high - 1)
    raise UnsayableError


def _bits_in_range(bits: _Bits, low: int, high: int) -> _Set | None:
    lowest, highest = bits.value, bits.value | (FULL & ~bits.mask)
    if lowest >= low and highest <= high:
        return bits
    if lowest > high or highest < low:
        return None
    if low == 0 and (high & (high + 1)) == 0:
        return _meet(bits, _Bits(FULL & ~high, 0))
    raise UnsayableError


def _contains(chosen: _Set, value: int) -> bool:
    match chosen:
        case _Bits(mask, wanted):
            return value & mask == wanted
        case _Range(low, high):
            return low <= value <= high
        case _Other(other):
            return value != other


def intersect(first: Cell, second: Cell) -> Cell | None:
    """Both cells at once; None when nothing satisfies both.

    Raises:
        UnsayableError: one rule cannot say it.
    """
    made: list[SyscallArg] = []
    ours = {arg.index: arg for arg in first}
    theirs = {arg.index: arg for arg in second}
    for index in sorted(ours.keys() | theirs.keys()):
        if index not in ours or index not in theirs:
            made.append(ours.get(index) or theirs[index])
            continue
        one, other = _to_set(ours[index]), _to_set(theirs[index])
        met = _meet(one, other) if one and other else None
        if met is None:
            return None
        made += _from_set(index, met)
    return tuple(made)


def _apart(first: Cell, second: Cell) -> bool:
    """Whether nothing satisfies both, as far as that can be told."""
    try:
        return intersect(first, second) is None
    except UnsayableError:
        return False


def complement(cell: Cell) -> list[Cell]:
    """Cells that together hold exactly where ``cell`` does not. They do not overlap."""
    cells: list[Cell] = []
    before: Cell = ()
    for arg in cell:
        chosen = _to_set(arg)
        if chosen is None:
            return [ALWAYS]
        cells += [(*before, *_from_set(arg.index, part)) for part in _outside(chosen)]
        before = (*before, arg)
    return cells


def _outside(chosen: _Set) -> list[_Set]:
    match chosen:
        case _Bits(mask, value) if mask == FULL:
            return [_Other(value)]
        case _Bits(mask, value):
            # Equal in the higher bits of the mask, different in this one: such parts do not overlap.
            return [_Bits(mask >> bit << bit, (value ^ 1 << bit) >> bit << bit) for bit in range(64) if mask >> bit & 1]
        case _Other(value):
            return [_Bits(FULL, value)]
        case _Range(low, high):
            parts = [_range(0, low - 1) if low else None, _range(high + 1, FULL) if high < FULL else None]
            return [part for part in parts if part is not None]


def subtract(cell: Cell, others: list[Cell]) -> tuple[list[Cell], bool]:
    """Where ``cell`` holds and none of ``others`` does, and whether that is exact.

    Where a part cannot be said it is left out, so that the cells never reach into ``others``.
    """
    left, exact = [cell], True
    for other in others:
        parts: dict[Cell, None] = {}
        for piece in left:
            if _apart(piece, other):
                parts[piece] = None
                continue
            for outside in complement(other):
                try:
                    part = intersect(piece, outside)
                except UnsayableError:
                    exact = False
                    continue
                if part is not None:
                    parts[part] = None
        left = _without_subsumed(list(parts))
        if len(left) > MAX_CELLS:
            left, exact = left[:MAX_CELLS], False
    return left, exact


def _without_subsumed(cells: list[Cell]) -> list[Cell]:
    """Leave out cells that another one covers; the widest come first."""
    kept: list[Cell] = []
    for cell in sorted(cells, key=_narrowness):
        if not any(_covers(other, cell) for other in kept):
            kept.append(cell)
            if len(kept) > MAX_CELLS:
                break
    return kept


def _narrowness(cell: Cell) -> int:
    """How many bits the comparisons of a cell fix, counting a range or an inequality as few."""
    return sum(arg.value.bit_count() if arg.op == "SCMP_CMP_MASKED_EQ" else _FIXED.get(arg.op, 1) for arg in cell)


_FIXED = {"SCMP_CMP_EQ": 64}


def _covers(wide: Cell, narrow: Cell) -> bool:
    """Whether ``wide`` surely holds wherever ``narrow`` does."""
    theirs = {arg.index: arg for arg in narrow}
    return all(arg.index in theirs and _within(theirs[arg.index], arg) for arg in wide)


def _within(narrow: SyscallArg, wide: SyscallArg) -> bool:
    if narrow == wide:
        return True
    inner, outer = _to_set(narrow), _to_set(wide)
    if not isinstance(inner, _Bits) or outer is None:
        return False
    if inner.mask == FULL:
        return _contains(outer, inner.value)
    return isinstance(outer, _Bits) and not outer.mask & ~inner.mask and inner.value & outer.mask == outer.value

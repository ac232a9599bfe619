# SPDX-License-Identifier: Apache-2.0
"""What a comparison of a syscall's argument means to the kernel: how many bits it reads, and in which ABI.

seccomp compares whole registers; the kernel takes the lower 16 or 32 bits of an ``int`` and leaves the rest unread. A
caller can put anything there, so ``argument == 38`` alone would be walked around by ``38 + 2**32``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from varmor.policy.types import Policy, SyscallArg
from varmor.profile.seccomp_arguments import KINDS, TWINS
from varmor.profile.seccomp_condition import FULL, Cell, holds, make_cell
from varmor.profile.seccomp_table import Rule, cells_of
from varmor.profile.types import NoEffect

_BITS = {"h": 16, "i": 32}
_FEW = {("socket", 0): 64, ("socketpair", 0): 64, ("socketcall", 0): 32}
"""Arguments of which the kernel accepts values below a small number only: AF_MAX and SYS_SENDMMSG, rounded up."""
_NULL = 0
_MOST = 64
_NAME_IT = "unless a rule of its own refuses it, this is a way around"
_HIDDEN = {"clone": ("clone3", (0,)), "open": ("openat2", (1, 2)), "openat": ("openat2", (2, 3))}
"""Calls with a newer form that takes the arguments of these positions in memory."""


def check_argument(policy: Policy, place: str, name: str, arg: SyscallArg, notes: list[NoEffect]) -> None:
    """Make sure that the comparison can be true, and say what it does not reach. ``place`` is its field.

    Raises:
        PolicyError: the call has no such argument, or the number does not fit into it.
    """
    kinds = KINDS.get(name)
    if kinds is None:
        return
    if arg.index >= len(kinds):
        count = f"{len(kinds)} arguments" if len(kinds) != 1 else "one argument"
        raise policy.error(
            f"{place}.index",
            f"{name} has {count}{', counted from 0' if kinds else ''}: there is no argument {arg.index}",
        )
    kind = kinds[arg.index]
    if kind in _BITS:
        _check_width(policy, place, name, arg, _BITS[kind])
    elif kind == "p" and arg.value != _NULL:
        notes.append(
            NoEffect(
                f"{place}.value",
                f"argument {arg.index} of {name} is an address: seccomp compares where it points to, not what is there",
            )
        )
    if "q" in kinds[: arg.index + 1]:
        notes.append(
            NoEffect(
                place,
                f"in 32-bit programs the arguments of {name} stand elsewhere, because one of them takes two registers: "
                "there this compares something else",
            )
        )


def _check_width(policy: Policy, place: str, name: str, arg: SyscallArg, bits: int) -> None:
    wanted, field = (arg.value, "value") if arg.op != "SCMP_CMP_MASKED_EQ" else (arg.value_two, "valueTwo")
    if wanted >> bits and not _negative(wanted, bits):
        raise policy.error(
            f"{place}.{field}",
            f"{wanted:#x} does not fit: the kernel reads {bits} bits of argument {arg.index} of {name}",
        )


def _negative(value: int, bits: int) -> bool:
    """Whether the number is a negative one of that width, written with 64 bits."""
    return value | ((1 << (bits - 1)) - 1) == FULL


def refusing_cells(name: str, args: Sequence[SyscallArg]) -> list[Cell]:
    """Where a rule that refuses must hold, so that bits the kernel does not read make no difference."""
    return _cells(name, args, refusing=True)


def allowing_cells(name: str, args: Sequence[SyscallArg]) -> list[Cell]:
    """Where a rule that allows may hold, so that bits the kernel does not read make no difference."""
    return _cells(name, args, refusing=False)


def kernel_rules(name: str, rules: Iterable[Rule], *, split: bool = False) -> list[Rule]:
    """The same rules about the bits that the kernel reads: refusals reach at least so far, permissions no farther.

    With ``split``, permissions are told apart by the values of an argument that has few, so that others can be cut out.
    """
    made: list[Rule] = []
    for cell, action in rules:
        args = list(cell)
        if split and not action.denies:
            said = {arg.index for arg in cell}
            args += [
                SyscallArg(index, count - 1, "SCMP_CMP_LE")
                for (call, index), count in _FEW.items()
                if call == name and index not in said
            ]
        cells = refusing_cells(name, args) if action.denies else allowing_cells(name, args)
        made += [(one, action) for one in cells]
    return made


def _cells(name: str, args: Sequence[SyscallArg], *, refusing: bool) -> list[Cell]:
    kinds = KINDS.get(name, "")
    found: dict[Cell, None] = {}
    for cell in cells_of(args):
        parts = [
            _one_by_one(arg, _FEW[name, arg.index])
            if not refusing and (name, arg.index) in _FEW
            else _exact(arg, _BITS.get(kinds[arg.index : arg.index + 1], 64), refusing=refusing, alone=len(cell) == 1)
            for arg in cell
        ]
        for chosen in _bounded(parts, cell):
            made = make_cell(chosen)
            if made is not None:
                found[made] = None
    return list(found)


def _bounded(parts: list[list[SyscallArg]], cell: Cell) -> Iterable[tuple[SyscallArg, ...]]:
    """All combinations; comparisons whose parts are too many together stay as they are written."""
    count = 1
    for index, alternatives in enumerate(parts):
        if count * len(alternatives) > _MOST:
            parts[index] = [cell[index]]
        count *= len(parts[index])
    return itertools.product(*parts)


def _one_by_one(arg: SyscallArg, count: int) -> list[SyscallArg]:
    return [SyscallArg(arg.index, value, "SCMP_CMP_EQ") for value in range(count) if holds(arg, value)]


def _exact(arg: SyscallArg, bits: int, *, refusing: bool, alone: bool) -> list[SyscallArg]:
    """The comparison of the lower ``bits`` bits alone, as alternatives.

    A refusal may hold in more cases than that, a permission in fewer; so each needs other operators rewritten. Beside
    comparisons of other arguments (not ``alone``) all become masks: libseccomp confuses the others there.
    """
    if bits == 64 and (alone or arg.op in ("SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ")):
        return [arg]
    full = (1 << bits) - 1
    if arg.value > full and not _negative(arg.value, bits) and arg.op in ("SCMP_CMP_GE", "SCMP_CMP_LE"):
        # "More than the largest": nothing; "at most more than that": everything.
        return [] if arg.op == "SCMP_CMP_GE" else [SyscallArg(arg.index, 0, "SCMP_CMP_MASKED_EQ")]
    value, second = arg.value & full, arg.value_two & full
    match arg.op:
        case "SCMP_CMP_EQ" if refusing:
            return [SyscallArg(arg.index, full, "SCMP_CMP_MASKED_EQ", value)]
        case "SCMP_CMP_MASKED_EQ" if refusing:
            return [SyscallArg(arg.index, value, arg.op, second)]
        case "SCMP_CMP_LT" if refusing or not alone:
            return _up_to(arg.index, value - 1, full)
        case "SCMP_CMP_LE" if refusing or not alone:
            return _up_to(arg.index, value, full)
        case "SCMP_CMP_NE" if not refusing or not alone:
            return [
                SyscallArg(arg.index, full >> bit << bit, "SCMP_CMP_MASKED_EQ", (value ^ 1 << bit) >> bit << bit)
                for bit in range(bits)
            ]
        case "SCMP_CMP_GT" if not refusing or not alone:
            return _from(arg.index, value + 1, full)
        case "SCMP_CMP_GE" if not refusing or not alone:
            return _from(arg.index, value, full)
    return [arg]


def _up_to(index: int, high: int, full: int) -> list[SyscallArg]:
    """The numbers from 0 to ``high`` as groups with a common beginning."""
    made: list[SyscallArg] = []
    end = high + 1
    for bit in range(full.bit_length() + 1):
        if end >> bit & 1:
            mask = full & ~((1 << bit) - 1)
            made.append(SyscallArg(index, mask, "SCMP_CMP_MASKED_EQ", (end & ~((1 << (bit + 1)) - 1)) & mask))
    return made


def _from(index: int, low: int, full: int) -> list[SyscallArg]:
    """The numbers from ``low`` on as groups with a common beginning: the mirror of :func:`_up_to`."""
    mirrored = _up_to(index, full - low, full)
    return [SyscallArg(index, arg.value, arg.op, ~arg.value_two & arg.value) for arg in mirrored]


def twins(name: str, args: Sequence[SyscallArg]) -> tuple[str, ...]:
    """The names under which 32-bit programs do the same with the same arguments, or at all when none is compared."""
    kinds = KINDS.get(name, "")
    return tuple(
        twin
        for twin in TWINS.get(name, ())
        if not args or all(kinds[: arg.index + 1] == KINDS.get(twin, "?")[: arg.index + 1] for arg in args)
    )


def note_detours(place: str, names: Sequence[str], args: Sequence[SyscallArg], notes: list[NoEffect]) -> None:
    """Say which other calls do what a refused call does, where the same comparison cannot be made for them."""
    if not args:
        return
    for name in names:
        same = twins(name, args)
        for twin in TWINS.get(name, ()):
            if twin not in same and twin not in names:
                notes.append(
                    NoEffect(place, f"32-bit programs do the same by {twin}, with other arguments: {_NAME_IT}")
                )
        sibling = _HIDDEN.get(name)
        if sibling and any(arg.index in sibling[1] for arg in args):
            notes.append(
                NoEffect(place, f"{sibling[0]} does the same with this argument in memory, out of sight: {_NAME_IT}")
            )

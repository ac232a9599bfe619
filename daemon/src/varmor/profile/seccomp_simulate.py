# SPDX-License-Identifier: Apache-2.0
"""What a seccomp filter does with one call, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varmor.profile import seccomp_names
from varmor.profile.seccomp_condition import Cell, cell_holds, holds
from varmor.profile.seccomp_multiplex import MULTIPLEXED, meant, narrowed
from varmor.profile.seccomp_table import Action, cells_of, default_action, make_action, read_arg, read_table

_FLAG_LOG = "SECCOMP_FILTER_FLAG_LOG"
_FOREIGN = Action("SCMP_ACT_KILL")
_LOW = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a call.

    ``entry`` is the index in the filter's ``syscalls`` of the entry that decided, None where no entry did; ``args`` are
    that entry's comparisons. ``why`` says it in a sentence, ``recorded`` whether the kernel writes an audit record.
    """

    action: Action
    entry: int | None
    args: Cell
    why: str
    recorded: bool


def verdict(profile: Mapping[str, Any], name: str, args: Sequence[int] = ()) -> Action:
    """The action for syscall ``name`` with ``args`` (missing ones count as 0): the strictest that applies.

    Raises:
        ValueError: the profile is not an OCI ``LinuxSeccomp`` object.
    """
    padded = _padded(args)
    matching = [action for cell, action in read_table(profile).get(name, []) if cell_holds(cell, padded)]
    return max(matching, key=lambda action: action.strictness) if matching else default_action(profile)


def simulate(
    profile: Mapping[str, Any],
    call: str | int,
    args: Sequence[int] = (),
    *,
    arch: str = "SCMP_ARCH_X86_64",
    native: str = "SCMP_ARCH_X86_64",
) -> Decision:
    """What the filter does with a call, by name or by its number in the ABI ``arch``.

    ``args`` are the registers, missing ones count as 0; ``native`` is the node's own ABI, which every filter covers.
    The filter is as libseccomp makes it of the profile. Where entries of a foreign profile overlap, the strictest is
    taken; filters written here have no such overlaps. runc answers ENOSYS to calls that are newer than all that a
    refusing filter names; this is not told here.

    Raises:
        ValueError: the profile is not an OCI ``LinuxSeccomp`` object, or the ABI is not known.
        SeccompLibraryError: libseccomp, which knows the numbers, is missing.
    """
    covered = (native, *(profile.get("architectures") or ()))
    if arch not in covered:
        return Decision(_FOREIGN, None, (), f"the filter does not cover {arch}: its programs are killed", recorded=True)
    default = default_action(profile)
    number = call if isinstance(call, int) else seccomp_names.number(call, arch)
    name = seccomp_names.calls(arch).get(number) if number is not None else None
    if name is None:
        why = f"{arch} has no call {call}" if isinstance(call, str) else f"libseccomp knows no call {call} of {arch}"
        return _decision(profile, default, None, (), f"{why}; the default holds")
    narrow = arch in seccomp_names.NARROW_ABIS
    padded = tuple(value & _LOW for value in _padded(args)) if narrow else _padded(args)
    found: list[tuple[int, Cell, Action]] = []
    for index, cell, action in _rules(profile, name, default, x86=arch == "SCMP_ARCH_X86"):
        judged = tuple(narrowed(arg) for arg in cell) if narrow else cell
        if all(holds(arg, padded[arg.index]) for arg in judged):
            found.append((index, cell, action))
    if not found:
        return _decision(profile, default, None, (), f"no entry speaks about {name} with these arguments")
    index, cell, action = max(found, key=lambda item: item[2].strictness)
    return _decision(profile, action, index, cell, f"syscalls[{index}] speaks about {name}{_shown(cell)}")


def _padded(args: Sequence[int]) -> tuple[int, ...]:
    return tuple(value & 0xFFFFFFFFFFFFFFFF for value in (*args, 0, 0, 0, 0, 0, 0)[:6])


def _rules(profile: Mapping[str, Any], name: str, default: Action, *, x86: bool) -> Iterator[tuple[int, Cell, Action]]:
    """The entries about a call, with those that libseccomp adds for the multiplexers of x86."""
    for index, entry in enumerate(profile.get("syscalls") or ()):
        action = make_action(str(entry.get("action", "")), entry.get("errnoRet"))
        if action == default:
            continue
        for cell in cells_of(read_arg(arg) for arg in entry.get("args") or ()):
            for named in entry.get("names") or ():
                if named == name:
                    yield index, cell, action
                elif x86 and MULTIPLEXED.get(named, ("", 0))[0] == name:
                    yield index, (*meant(named), *(arg for arg in cell if arg.index)), action


def _decision(profile: Mapping[str, Any], action: Action, entry: int | None, args: Cell, why: str) -> Decision:
    flagged = _FLAG_LOG in (profile.get("flags") or ())
    always = action.name == "SCMP_ACT_LOG" or action.name.startswith("SCMP_ACT_KILL")
    return Decision(action, entry, args, why, recorded=always or (flagged and action.name != "SCMP_ACT_ALLOW"))


def _shown(cell: Cell) -> str:
    if not cell:
        return ""
    words = [f"argument {arg.index} {arg.op.removeprefix('SCMP_CMP_')} {arg.value:#x}" for arg in cell]
    return " where " + " and ".join(words)

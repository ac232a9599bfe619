# SPDX-License-Identifier: Apache-2.0
"""``socketcall`` and ``ipc``: calls of the x86 ABI behind which others hide, with the arguments in memory.

A filter sees which call is meant (the first argument), but not that call's own arguments. libseccomp adds, for a rule
about one of these calls, a rule about the multiplexer: the first argument's comparison becomes "this call is meant",
the other comparisons stay, though they meet pointers there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from varmor.policy.types import SyscallArg
from varmor.profile.seccomp_condition import ALWAYS, Cell, UnsayableError, intersect, subtract
from varmor.profile.seccomp_table import ALLOW, Action, Rule, Table, cells_of

ABI = "SCMP_ARCH_X86"

# uapi/linux/net.h and uapi/linux/ipc.h
_SOCKETCALL = (
    "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
    "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg",
    "sendmmsg",
)  # fmt: skip
_IPC = {
    "semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
    "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
}  # fmt: skip
MULTIPLEXED: Mapping[str, tuple[str, int]] = {
    **{name: ("socketcall", number) for number, name in enumerate(_SOCKETCALL, 1)},
    **{name: ("ipc", number) for name, number in _IPC.items()},
}
"""By call: the multiplexer, and the number by which that knows the call."""


def meant(name: str) -> Cell:
    """The condition under which the multiplexer of call ``name`` means it."""
    return cells_of([SyscallArg(0, MULTIPLEXED[name][1], "SCMP_CMP_EQ")])[0]


def close_detours(table: Table, default: Action, names: Iterable[str] = MULTIPLEXED) -> list[str]:
    """Let the multiplexers answer like the strictest rule of each call of ``names`` behind them; changes ``table``.

    The rules of each call must not overlap. Gives the calls for which that cannot be said beside the rules that
    libseccomp adds by itself: the filter must then leave the x86 ABI out.
    """
    unsayable: list[str] = []
    for name in sorted(MULTIPLEXED.keys() & set(names)):
        rules = table.get(name)
        if not rules:
            continue
        multiplexer = MULTIPLEXED[name][0]
        rules = table[name] = _one_error(rules)
        answers = {action for _, action in rules}
        strictest = max((*answers, *_rest(rules, default)), key=lambda action: action.strictness)
        behind = table.get(multiplexer, [])
        own = [action for cell, action in behind if _meets(cell, meant(name))]
        if answers == {strictest} and all(action.strictness <= strictest.strictness for action in own):
            if strictest in (default, ALLOW):
                continue
            overlaid = _overlaid(behind, meant(name), strictest)
            if overlaid is not None:
                table[multiplexer] = overlaid
                continue
        if strictest.denies or any(action.denies for action in own):
            unsayable.append(name)
    return unsayable


def _one_error(rules: list[Rule]) -> list[Rule]:
    """The same rules with one error number for all: the multiplexer, where they meet, can answer with one only."""
    errors = {action for _, action in rules if action.name == "SCMP_ACT_ERRNO"}
    if len(errors) < 2:
        return rules
    chosen = min(errors, key=lambda action: action.errno or 0)
    return list(dict.fromkeys((cell, chosen if action in errors else action) for cell, action in rules))


def _rest(rules: Iterable[Rule], default: Action) -> list[Action]:
    """The default, when the rules may leave cases to it."""
    return [] if any(cell == ALWAYS for cell, _ in rules) else [default]


def _meets(first: Cell, second: Cell) -> bool:
    try:
        return intersect(first, second) is not None
    except UnsayableError:
        return True


def _overlaid(rules: list[Rule], cell: Cell, action: Action) -> list[Rule] | None:
    """``rules`` with another decision where ``cell`` holds; None when that cannot be said."""
    made: list[Rule] = [(cell, action)]
    for other, taken in rules:
        pieces, exact = subtract(other, [cell])
        if not exact:
            return None
        made += [(piece, taken) for piece in pieces]
    return made


def without_abi(architectures: Iterable[str]) -> tuple[str, ...]:
    """The architectures of a filter without x86: its programs are killed at their first call."""
    return tuple(name for name in architectures if name != ABI)


def left_out_note(names: Iterable[str]) -> str:
    """What is said when a filter leaves the x86 ABI out."""
    return (
        f"{', '.join(names)}: in 32-bit programs of x86 the arguments are out of sight (socketcall, ipc), so this "
        "cannot be said for them; the filter leaves SCMP_ARCH_X86 out, and such programs are killed"
    )


def open_note(names: Iterable[str]) -> str:
    """What is said when a profile allows calls under conditions that x86 does not show."""
    return (
        f"{', '.join(names)}: 32-bit programs reach these calls by socketcall or ipc whatever the arguments are; take "
        "SCMP_ARCH_X86 out of the architectures unless such programs are to run"
    )


def narrowed(arg: SyscallArg) -> SyscallArg:
    """A comparison as it is made for an ABI of 32 bits: libseccomp drops the upper half of its numbers."""
    low = 0xFFFFFFFF
    return replace(arg, value=arg.value & low, value_two=arg.value_two & low)

# SPDX-License-Identifier: Apache-2.0
"""A seccomp filter as decisions per syscall, and back to the OCI object.

Entries of one syscall that decide differently are made disjoint, the strictest first. What a filter does then depends
neither on the order of its entries nor on how a runtime or libseccomp resolves overlaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from varmor.policy.types import SyscallArg
from varmor.profile.seccomp_condition import ALWAYS, Cell, make_cell, subtract

EPERM = 1

# The kernel's own precedence (seccomp(2)), strictest first.
_PRECEDENCE = (
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_LOG",
    "SCMP_ACT_ALLOW",
)
ACTIONS = tuple(name for name in _PRECEDENCE if name != "SCMP_ACT_NOTIFY")
"""The actions that a profile may say. NOTIFY needs a listener, which a profile has not."""
OPERATORS = tuple(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))

_STRICTNESS = {name: len(_PRECEDENCE) - rank for rank, name in enumerate(_PRECEDENCE)}
_STRICTNESS["SCMP_ACT_KILL"] = _STRICTNESS["SCMP_ACT_KILL_THREAD"]  # two names for one action
_RETURNS = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})


@dataclass(frozen=True, slots=True)
class Action:
    """What happens to a call: an OCI action and, where it returns a number, that number."""

    name: str
    errno: int | None = None

    @property
    def strictness(self) -> int:
        """Rank in the kernel's precedence: higher wins."""
        return _STRICTNESS[self.name]

    @property
    def denies(self) -> bool:
        """Whether the call does not run."""
        return self.strictness > _STRICTNESS["SCMP_ACT_LOG"]


ALLOW = Action("SCMP_ACT_ALLOW")
LOG = Action("SCMP_ACT_LOG")

Rule = tuple[Cell, Action]
Table = dict[str, list[Rule]]


def make_action(name: str, errno: int | None) -> Action:
    """An action as OCI spells it; a missing errno is EPERM.

    Raises:
        ValueError: an unknown action.
    """
    if name not in _STRICTNESS:
        raise ValueError(f"unknown seccomp action {name!r}; expected one of {', '.join(_PRECEDENCE)}")
    return Action(name, (EPERM if errno is None else errno) if name in _RETURNS else None)


def default_action(profile: Mapping[str, Any]) -> Action:
    """What a filter does with calls that it does not name."""
    return make_action(str(profile.get("defaultAction", "")), profile.get("defaultErrnoRet"))


def cells_of(args: Iterable[SyscallArg]) -> list[Cell]:
    """The conditions of one entry. Two on one argument are alternatives, as the runtimes take them."""
    args = tuple(args)
    separate = len({arg.index for arg in args}) < len(args)
    alternatives = [(arg,) for arg in args] if separate else [args]
    cells = [make_cell(alternative) for alternative in alternatives]
    return [cell for cell in cells if cell is not None]


def read_table(profile: Mapping[str, Any]) -> Table:
    """The entries of an OCI ``LinuxSeccomp`` object by syscall, in their order.

    Entries that say what the default says are left out, as the runtimes leave them out.

    Raises:
        ValueError: an entry is not as the OCI runtime specification says.
    """
    table: Table = defaultdict(list)
    default = default_action(profile) if "defaultAction" in profile else None
    for entry in profile.get("syscalls") or ():
        action = make_action(str(entry.get("action", "")), entry.get("errnoRet"))
        if action == default:
            continue
        cells = cells_of(read_arg(arg) for arg in entry.get("args") or ())
        for name in entry.get("names") or ():
            table[name] += [(cell, action) for cell in cells]
    return table


def read_arg(arg: Mapping[str, Any]) -> SyscallArg:
    """One comparison of an OCI ``LinuxSeccomp`` object.

    Raises:
        ValueError: an index that no syscall has.
    """
    read = SyscallArg(int(arg["index"]), int(arg["value"]), str(arg["op"]), int(arg.get("valueTwo") or 0))
    if not 0 <= read.index <= 5:
        raise ValueError(f"a syscall has no argument {read.index}")
    return read


def disjoint(rules: list[Rule], default: Action) -> tuple[list[Rule], bool]:
    """The same decisions by rules that do not overlap where they differ, and whether that is exact.

    Where it is not exact the result is stricter, or loses a record, but never allows more.
    """
    made: list[Rule] = []
    exact = True
    stricter: list[Rule] = []
    for cell, action in sorted(rules, key=lambda rule: -rule[1].strictness):
        cuts = [other for other, taken in stricter if taken != action]
        pieces, clean = subtract(cell, cuts)
        if not clean:
            exact = False
            if action.denies:
                pieces = [cell]  # two denials may overlap: whichever wins, the call is refused
        made += [(piece, action) for piece in pieces]
        stricter.append((cell, action))
    return [rule for rule in dict.fromkeys(made) if rule[1] != default], exact


def write_entries(table: Mapping[str, Iterable[Rule]]) -> list[dict[str, Any]]:
    """OCI ``syscalls`` entries in a stable order; syscalls that are treated alike share entries."""
    names: dict[Rule, set[str]] = defaultdict(set)
    for name, rules in table.items():
        for rule in rules:
            names[rule].add(name)
    grouped: dict[tuple[Rule, tuple[str, ...]], None] = {}
    for rule, members in names.items():
        grouped[rule, tuple(sorted(members))] = None
    return [_entry(rule, members) for rule, members in sorted(grouped, key=_order)]


def _order(item: tuple[Rule, tuple[str, ...]]) -> tuple[Any, ...]:
    (cell, action), members = item
    args = tuple((arg.index, arg.op, arg.value, arg.value_two) for arg in cell)
    return -action.strictness, action.errno or 0, members, args


def _entry(rule: Rule, members: tuple[str, ...]) -> dict[str, Any]:
    cell, action = rule
    entry: dict[str, Any] = {"names": list(members), "action": action.name}
    if action.errno is not None:
        entry["errnoRet"] = action.errno
    if cell != ALWAYS:
        entry["args"] = [_arg(arg) for arg in cell]
    return entry


def _arg(arg: SyscallArg) -> dict[str, Any]:
    written: dict[str, Any] = {"index": arg.index, "value": arg.value, "op": arg.op}
    if arg.op == "SCMP_CMP_MASKED_EQ":
        written["valueTwo"] = arg.value_two
    return written

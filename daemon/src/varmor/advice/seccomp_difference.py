# SPDX-License-Identifier: Apache-2.0
"""How two seccomp filters differ: for each syscall, the conditions under which they decide differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from varmor.advice.path_rules import Verdict
from varmor.policy.types import SyscallArg
from varmor.profile.seccomp_condition import ALWAYS, Cell, UnsayableError, intersect, subtract
from varmor.profile.seccomp_table import ALLOW, Action, Rule, default_action, disjoint, read_table

_SIGNS = {"NE": "!=", "LT": "<", "LE": "<=", "EQ": "==", "GE": ">=", "GT": ">"}


@dataclass(frozen=True, slots=True)
class SeccompChange:
    """Calls that the two filters treat differently. ``actions`` says from what to what."""

    what: str
    before: Verdict
    after: Verdict
    actions: str


def seccomp_changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[SeccompChange]:
    """All changes between two OCI ``LinuxSeccomp`` objects; None is no filter."""
    first, second = old or {"defaultAction": ALLOW.name}, new or {"defaultAction": ALLOW.name}
    before, after = default_action(first), default_action(second)
    records = tuple(bool(side.get("flags") and "SECCOMP_FILTER_FLAG_LOG" in side["flags"]) for side in (first, second))
    our_table, their_table = read_table(first), read_table(second)
    for name in sorted(set(our_table) | set(their_table)):
        if (our_table.get(name), before, records[0]) == (their_table.get(name), after, records[1]):
            continue
        ours, theirs = _parts(our_table.get(name, []), before), _parts(their_table.get(name, []), after)
        for cell, one, other in _differing(ours, theirs, records):
            yield _change(f"{name}{condition(cell)}", one, other, records)
    if not _same(before, after, records):
        yield _change("every syscall that is not named", before, after, records)


def _change(what: str, one: Action, other: Action, records: tuple[bool, ...]) -> SeccompChange:
    return SeccompChange(
        what, _verdict(one, log=records[0]), _verdict(other, log=records[1]), f"{_word(one)} -> {_word(other)}"
    )


def _verdict(action: Action, *, log: bool) -> Verdict:
    return Verdict(action.denies, action.name == "SCMP_ACT_LOG" or (log and action.denies))


def _word(action: Action) -> str:
    name = action.name.removeprefix("SCMP_ACT_")
    return name if action.errno is None else f"{name}({action.errno})"


def _parts(rules: list[Rule], default: Action) -> list[Rule]:
    """All calls of one syscall in parts, each with what is decided there, the default's too."""
    separate, exact = disjoint(rules, default)
    rest, rest_exact = subtract(ALWAYS, [cell for cell, _ in separate])
    if not (exact and rest_exact):
        # What is left cannot be said by one comparison of each argument: rather too wide than a change nobody sees.
        return [*rules, (ALWAYS, default)]
    return [*separate, *((cell, default) for cell in rest)]


def _same(one: Action, other: Action, records: tuple[bool, ...]) -> bool:
    return one == other and (not one.denies or records[0] == records[1])


def _differing(
    ours: list[Rule], theirs: list[Rule], records: tuple[bool, ...]
) -> Iterator[tuple[Cell, Action, Action]]:
    seen: set[tuple[Cell, Action, Action]] = set()
    for our_cell, one in ours:
        for their_cell, other in theirs:
            if _same(one, other, records):
                continue
            try:
                cell = intersect(our_cell, their_cell)
            except UnsayableError:
                cell = their_cell  # wider than the truth: rather one line too many than a change that nobody sees
            if cell is not None and (cell, one, other) not in seen:
                seen.add((cell, one, other))
                yield cell, one, other


def condition(cell: Cell) -> str:
    """A condition on arguments as text, with a leading space; empty when it always holds."""
    return " when " + " and ".join(_comparison(arg) for arg in cell) if cell else ""


def _comparison(arg: SyscallArg) -> str:
    if arg.op == "SCMP_CMP_MASKED_EQ":
        return f"arg{arg.index} & {arg.value:#x} == {arg.value_two:#x}"
    return f"arg{arg.index} {_SIGNS[arg.op.removeprefix('SCMP_CMP_')]} {arg.value:#x}"

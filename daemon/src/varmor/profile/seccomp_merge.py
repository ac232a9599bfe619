# SPDX-License-Identifier: Apache-2.0
"""One seccomp filter that is as strict as each of two: what a runtime would have set, and ours.

A process could carry both, but an OCI bundle holds one filter. The decisions of both are combined syscall by syscall;
where the combination cannot be said by comparisons of arguments, the stricter side is taken and reported.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from varmor.errors import VarmorError
from varmor.profile import seccomp_multiplex
from varmor.profile.seccomp import overlap_note
from varmor.profile.seccomp_abi import kernel_rules
from varmor.profile.seccomp_condition import ALWAYS, UnsayableError, intersect, subtract
from varmor.profile.seccomp_guard import guard
from varmor.profile.seccomp_table import (
    ALLOW,
    Action,
    Rule,
    Table,
    default_action,
    disjoint,
    read_table,
    write_entries,
)
from varmor.profile.types import NoEffect

FIELD = "linux.seccomp"


class SeccompProfileError(VarmorError):
    """A seccomp object that is not as the OCI runtime specification says."""


def merge(base: dict[str, Any] | None, ours: dict[str, Any]) -> tuple[dict[str, Any], list[NoEffect]]:
    """The strictest of ``base`` (None: no filter) and ``ours``, both OCI ``LinuxSeccomp`` objects.

    Neither argument is changed. The notes say where the result is stricter than both for want of words. What one side
    refuses is always refused, but where its region cannot be said, in the way of the merged default: with an error
    instead of a kill, say.

    Raises:
        SeccompProfileError: one of them is malformed.
    """
    if not base:
        return copy.deepcopy(ours), []
    try:
        return _merge(base, ours)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeccompProfileError(f"{FIELD}: not a seccomp profile of the OCI specification: {error}") from error


def _merge(base: dict[str, Any], ours: dict[str, Any]) -> tuple[dict[str, Any], list[NoEffect]]:
    notes: list[NoEffect] = []
    base_default, our_default = default_action(base), default_action(ours)
    default = _stricter(our_default, base_default)
    base_table, our_table = read_table(base), read_table(ours)
    # With our default of ALLOW, syscalls that only the base names stay as they are.
    touched = set(our_table) if our_default == ALLOW else set(our_table) | set(base_table)
    kept: list[dict[str, Any]] = []
    for entry in (base.get("syscalls") or ()) if our_default == ALLOW else ():
        names = [name for name in entry.get("names") or () if name not in touched]
        if names:
            kept.append({**copy.deepcopy(entry), "names": names})
    table: Table = {}
    for name in sorted(touched):
        rules, exact = _combine(
            (our_table.get(name, []), our_default), (_base_rules(name, our_table, base_table), base_default), default
        )
        table[name] = rules
        if not exact:
            notes.append(NoEffect(FIELD, overlap_note(name)))
    architectures, left_out = _architectures(base, ours, table, default, our_table)
    notes += left_out
    merged = {**copy.deepcopy(base), "defaultAction": default.name, "syscalls": [*write_entries(table), *kept]}
    if base.get("architectures"):
        merged["architectures"] = architectures
    if default.errno is not None and default != base_default:
        merged["defaultErrnoRet"] = default.errno
    flags = list(dict.fromkeys([*(base.get("flags") or ()), *(ours.get("flags") or ())]))
    if flags:
        merged["flags"] = flags
    guard(merged)
    return merged, notes


def _base_rules(name: str, our_table: Table, base_table: Table) -> list[Rule]:
    """The base's rules of a call. Where ours set conditions too, both must speak of the bits that the kernel reads."""
    rules = base_table.get(name, [])
    ours = our_table.get(name, [])
    return kernel_rules(name, rules, split=True) if any(cell != ALWAYS for cell, _ in ours) else rules


def _architectures(
    base: dict[str, Any], ours: dict[str, Any], table: Table, default: Action, ours_names: Iterable[str]
) -> tuple[list[str], list[NoEffect]]:
    """The base's architectures, but x86 where ours or the merged rules cannot speak for it; ``table`` is completed."""
    architectures: list[str] = list(base.get("architectures") or ())
    if seccomp_multiplex.ABI not in architectures:
        return architectures, []
    kept = list(seccomp_multiplex.without_abi(architectures))
    if ours.get("architectures") and seccomp_multiplex.ABI not in ours["architectures"]:
        return kept, []
    unsayable = seccomp_multiplex.close_detours(table, default, ours_names)
    if not unsayable:
        return architectures, []
    return kept, [NoEffect(FIELD, seccomp_multiplex.left_out_note(unsayable))]


def _stricter(first: Action, second: Action) -> Action:
    return second if second.strictness > first.strictness else first


def strictest_of(variants: Sequence[list[Rule]], default: Action) -> tuple[list[Rule], bool]:
    """The rules of one syscall that are as strict as each variant, and whether that is exact."""
    rules, exact = variants[0], True
    for other in variants[1:]:
        if other != rules:
            rules, clean = _combine((rules, default), (other, default), default)
            exact = exact and clean
    return rules, exact


Side = tuple[list[Rule], Action]
"""The rules of one syscall in one filter, and the filter's default."""


def _combine(ours: Side, base: Side, default: Action) -> tuple[list[Rule], bool]:
    """All regions of both rule lists with the stricter of the two decisions.

    Regions that differ do not overlap, but for denials where the result is not exact. Those are then taken whole, so
    that nothing that one side refuses slips through a region that could not be said.
    """
    (our_rules, our_exact), (base_rules, base_exact) = disjoint(*ours), disjoint(*base)
    regions, exact = _overlaps(our_rules, base_rules, default)
    exact = exact and our_exact and base_exact
    # Where both sides' defaults meet, the merged default says it.
    for rules, others, other_default in ((our_rules, base_rules, base[1]), (base_rules, our_rules, ours[1])):
        for cell, action in rules:
            stricter = _stricter(action, other_default)
            if stricter == default:
                continue
            pieces, clean = subtract(cell, [other for other, _ in others])
            # What is left out of a refusal is refused by the default.
            exact = exact and (clean or (stricter.denies and default.denies))
            regions += [(piece, stricter) for piece in pieces]
    if not exact:
        refused = [rule for rule in (*our_rules, *base_rules) if rule[1].denies]
        separate, _ = disjoint(refused, default)
        regions = [*separate, *(rule for rule in regions if not rule[1].denies)]
    return list(dict.fromkeys(regions)), exact


def _overlaps(ours: list[Rule], base: list[Rule], default: Action) -> tuple[list[Rule], bool]:
    """Where rules of both sides meet, and whether all of that can be said."""
    regions: list[Rule] = []
    exact = True
    for (our_cell, our_action), (base_cell, base_action) in itertools.product(ours, base):
        action = _stricter(our_action, base_action)
        if action == default:
            continue
        try:
            cell = intersect(our_cell, base_cell)
        except UnsayableError:
            exact = False
            continue
        if cell is not None:
            regions.append((cell, action))
    return regions, exact

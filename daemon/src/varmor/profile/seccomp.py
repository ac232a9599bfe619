# SPDX-License-Identifier: Apache-2.0
"""The seccomp filter of a profile: built-in rules and ``syscallRawRules`` over a default of ALLOW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varmor.policy.nearest import did_you_mean
from varmor.policy.types import Policy, SyscallArg, SyscallRule
from varmor.profile import seccomp_abi, seccomp_multiplex, seccomp_names
from varmor.profile.seccomp_condition import cell_holds
from varmor.profile.seccomp_guard import guard
from varmor.profile.seccomp_table import (
    ACTIONS,
    ALLOW,
    LOG,
    OPERATORS,
    Action,
    Table,
    disjoint,
    make_action,
    write_entries,
)
from varmor.profile.selection import RULES_FIELD, Reaction, Selected
from varmor.profile.types import NoEffect, SyscallRefusal

LOG_FLAG = "SECCOMP_FILTER_FLAG_LOG"
ENOSYS = 38

# A filter knows the syscall numbers of the listed architectures only; without the compat ABIs a 32-bit program would be
# killed, or the rules walked around by int 0x80, depending on the runtime.
ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}


@dataclass(frozen=True, slots=True)
class SyscallEntry:
    """Syscalls with one action under one set of conditions, and the field or rule that asks for it."""

    origin: str
    names: tuple[str, ...]
    action: Action
    args: tuple[SyscallArg, ...] = ()


def built_in_entries(selected: Sequence[Selected], reaction: Reaction, notes: list[NoEffect]) -> list[SyscallEntry]:
    """What the built-in rules ask of seccomp."""
    entries: list[SyscallEntry] = []
    if reaction.nothing:
        return entries
    for item in selected:
        for form in item.rule.seccomp:
            if reaction.deny:
                action = make_action("SCMP_ACT_ERRNO", form.errno)
            elif form.observable:
                action = LOG
            else:
                notes.append(
                    NoEffect(item.field, f"seccomp cannot observe {item.rule.name} by {', '.join(form.names)}")
                )
                continue
            entries.append(SyscallEntry(item.rule.name, form.names, action, form.args))
    return entries


def raw_entries(policy: Policy, notes: list[NoEffect]) -> list[SyscallEntry]:
    """``syscallRawRules``, checked.

    Raises:
        PolicyError: an unknown syscall, action or operator, or a comparison that can never be true.
        SeccompLibraryError: libseccomp, which knows the names, is missing.
    """
    if policy.enhance_protect is None:
        return []
    entries: list[SyscallEntry] = []
    for index, rule in enumerate(policy.enhance_protect.syscall_raw_rules):
        place = f"{RULES_FIELD}.syscallRawRules[{index}]"
        entry = check_raw_rule(policy, place, rule, notes)
        if entry.action == ALLOW:
            notes.append(NoEffect(place, "the filter allows what it does not name, so SCMP_ACT_ALLOW does nothing"))
        else:
            entries.append(entry)
    return entries


def check_raw_rule(policy: Policy, place: str, rule: SyscallRule, notes: list[NoEffect]) -> SyscallEntry:
    """A custom rule, checked. ``place`` is its field.

    Raises:
        PolicyError: an unknown syscall, action or operator, or a comparison that can never be true.
        SeccompLibraryError: libseccomp, which knows the names, is missing.
    """
    for index, name in enumerate(rule.names):
        if not seccomp_names.is_known(name):
            raise policy.error(
                f"{place}.names[{index}]", f"unknown syscall {name[:40]!r}{did_you_mean(name, seccomp_names.names())}"
            )
    if rule.action == "SCMP_ACT_NOTIFY":
        raise policy.error(f"{place}.action", "SCMP_ACT_NOTIFY needs a listener, which a profile has not: use another")
    if rule.action not in ACTIONS:
        raise policy.error(
            f"{place}.action",
            f"unknown action {rule.action[:40]!r}; expected one of {', '.join(ACTIONS)}"
            f"{did_you_mean(rule.action, ACTIONS)}",
        )
    action = make_action(rule.action, rule.errno_ret)
    if rule.errno_ret is not None and action.errno is None:
        raise policy.error(f"{place}.errnoRet", f"{rule.action} returns no number: remove errnoRet")
    for index, arg in enumerate(rule.args):
        _check_arg(policy, f"{place}.args[{index}]", arg)
        for name in rule.names:
            seccomp_abi.check_argument(policy, f"{place}.args[{index}]", name, arg, notes)
    if action.denies:
        seccomp_abi.note_detours(place, rule.names, rule.args, notes)
    return SyscallEntry(place.removeprefix(f"{RULES_FIELD}."), rule.names, action, rule.args)


def _check_arg(policy: Policy, place: str, arg: SyscallArg) -> None:
    if arg.op not in OPERATORS:
        raise policy.error(
            f"{place}.op",
            f"unknown operator {arg.op[:40]!r}; expected one of {', '.join(OPERATORS)}"
            f"{did_you_mean(arg.op, OPERATORS)}",
        )
    if arg.op != "SCMP_CMP_MASKED_EQ":
        if arg.value_two:
            raise policy.error(f"{place}.valueTwo", f"{arg.op} compares with value alone: remove valueTwo")
    elif arg.value_two & ~arg.value:
        raise policy.error(
            f"{place}.valueTwo",
            f"{arg.value_two:#x} has bits outside the mask {arg.value:#x}, so the comparison is never true",
        )


def filter_profile(
    entries: Iterable[SyscallEntry], machine: str, *, audit: bool, notes: list[NoEffect]
) -> dict[str, Any] | None:
    """The OCI ``LinuxSeccomp`` object for ``entries``, None without any.

    ``audit`` makes the kernel record what the filter refuses.
    """
    decided: Table = {}
    for name, rules in _wanted(entries, twins=machine in ARCHITECTURES).items():
        decided[name], exact = disjoint(rules, ALLOW)
        if not exact:
            notes.append(NoEffect(f"{RULES_FIELD}.syscallRawRules", overlap_note(name)))
    architectures = ARCHITECTURES.get(machine, ())
    if seccomp_multiplex.ABI in architectures:
        unsayable = seccomp_multiplex.close_detours(decided, ALLOW)
        if unsayable:
            architectures = seccomp_multiplex.without_abi(architectures)
            notes.append(NoEffect(RULES_FIELD, seccomp_multiplex.left_out_note(unsayable)))
    syscalls = write_entries(decided)
    if not syscalls:
        return None
    profile: dict[str, Any] = {"defaultAction": ALLOW.name}
    if architectures:
        profile["architectures"] = list(architectures)
    if audit:
        profile["flags"] = [LOG_FLAG]
    profile["syscalls"] = syscalls
    guard(profile)
    return profile


def _wanted(entries: Iterable[SyscallEntry], *, twins: bool) -> Table:
    """What the entries ask for, also for the names under which 32-bit programs do the same."""
    table: Table = defaultdict(list)
    for entry in entries:
        for name in all_names(entry) if twins else entry.names:
            table[name] += [(cell, entry.action) for cell in seccomp_abi.refusing_cells(name, entry.args)]
    return table


def all_names(entry: SyscallEntry) -> tuple[str, ...]:
    """The names of an entry with those under which 32-bit programs do the same."""
    others = [twin for name in entry.names for twin in seccomp_abi.twins(name, entry.args)]
    return tuple(dict.fromkeys((*entry.names, *others)))


def overlap_note(name: str) -> str:
    """What is said where overlapping conditions had to be simplified."""
    return (
        f"{name}: the conditions of several rules overlap in a way that seccomp cannot say exactly; "
        "the stricter side was taken"
    )


def refusals(entries: Iterable[SyscallEntry]) -> tuple[SyscallRefusal, ...]:
    """What entries refuse. ENOSYS is left out: it makes libc use another call and is no refusal."""
    return tuple(
        dict.fromkeys(
            SyscallRefusal(all_names(entry), entry.args, entry.origin)
            for entry in entries
            if entry.action.denies and entry.action.errno != ENOSYS
        )
    )


def refusal_of(known: Iterable[SyscallRefusal], name: str, arguments: tuple[int, ...]) -> SyscallRefusal | None:
    """The refusal that speaks of a call with these six arguments, None when no one does."""
    for refusal in known:
        if name in refusal.names and any(
            cell_holds(cell, arguments) for cell in seccomp_abi.refusing_cells(name, refusal.args)
        ):
            return refusal
    return None


def fallback_syscalls(profile: Mapping[str, Any]) -> frozenset[str]:
    """Syscalls that a filter answers with ENOSYS so that libc uses another call: a record of them is no violation."""
    return frozenset(
        name
        for entry in profile.get("syscalls") or ()
        if entry.get("action") == "SCMP_ACT_ERRNO" and entry.get("errnoRet") == ENOSYS
        for name in entry.get("names") or ()
    )

# SPDX-License-Identifier: Apache-2.0
"""What a systemd drop-in says for a service: the AppArmor profile, and seccomp in systemd's own words."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from varmor.policy.types import SyscallArg
from varmor.profile.seccomp import SyscallEntry
from varmor.profile.seccomp_defense import unit_allow_list, unit_error_number
from varmor.profile.seccomp_table import make_action
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NoEffect, UnitSettings

_ENFORCER_FIELD = "spec.policy.enforcer"
_NEW_USER = 0x10000000  # CLONE_NEWUSER
_REFUSED_BESIDES = {
    ("RestrictNamespaces", "~user"): (
        ("setns", (SyscallArg(1, 0, "SCMP_CMP_EQ"),)),
        ("setns", (SyscallArg(1, _NEW_USER, "SCMP_CMP_MASKED_EQ", _NEW_USER),)),
    ),
    # Where no kind of namespace is left, systemd refuses the whole call.
    ("RestrictNamespaces", "yes"): (("setns", ()),),
}
"""Calls that a directive refuses and the seccomp entries of the same rule do not, with the condition."""


def unit_settings(
    profile_name: str,
    *,
    apparmor: bool,
    selected: Sequence[Selected],
    entries: Iterable[SyscallEntry],
    reaction: Reaction,
    notes: list[NoEffect],
    recorded: bool,
) -> UnitSettings:
    """The lines of the drop-in. ``entries`` are all seccomp entries, ``selected`` the rules that seccomp takes part in.

    A condition on arguments cannot be said by systemd: such entries are left out with a note, unless the rule brings
    directives of its own. ``recorded`` tells whether the node sees what seccomp refuses without systemd's help.
    """
    lines: list[tuple[str, str]] = [("AppArmorProfile", profile_name)] if apparmor else []
    own = {item.rule.name: item for item in selected if item.rule.unit}
    seccomp: list[tuple[str, str]] = []
    for item in own.values():
        if reaction.deny:
            seccomp += item.rule.unit
        elif reaction.audit:
            directives = ", ".join(directive for directive, _ in item.rule.unit)
            notes.append(
                NoEffect(item.field, f"systemd cannot observe {item.rule.name} ({directives}), only refuse it")
            )
    seccomp += _filters([entry for entry in entries if entry.origin not in own], notes)
    if any(directive != "SystemCallLog" for directive, _ in seccomp):
        # Without this a 32-bit program's calls would be judged by other numbers.
        seccomp.insert(0, ("SystemCallArchitectures", "native"))
        if reaction.audit and not recorded:
            notes.append(unrecorded())
    return UnitSettings(tuple(dict.fromkeys((*lines, *seccomp))))


def unrecorded() -> NoEffect:
    """What is said where refusals by seccomp are to be recorded and nobody sees them."""
    return NoEffect(_ENFORCER_FIELD, "what seccomp refuses to a unit is not recorded: systemd cannot ask for it")


def allow_list_lines(
    profile: Mapping[str, Any], reaction: Reaction, field: str, notes: list[NoEffect]
) -> list[tuple[str, str]]:
    """The lines for a filter that names what may be called; ``field`` is the manifest's.

    Where nothing is refused, all other calls are recorded.
    """
    if not reaction.deny:
        return _observing_lines(profile, field, notes)
    names, remarks = unit_allow_list(profile)
    notes += [NoEffect(field, remark) for remark in remarks]
    return [
        # Without this a 32-bit program's calls would be judged by other numbers.
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", " ".join(names)),
        ("SystemCallErrorNumber", unit_error_number(profile)),
    ]


def _observing_lines(profile: Mapping[str, Any], field: str, notes: list[NoEffect]) -> list[tuple[str, str]]:
    """All calls but those that are let pass without a record are logged; what is refused all the same stays refused."""
    quiet: list[str] = []
    refused: list[SyscallEntry] = []
    for entry in profile.get("syscalls") or ():
        names, action = tuple(entry["names"]), make_action(entry["action"], entry.get("errnoRet"))
        if action.denies:
            args = tuple(
                SyscallArg(arg["index"], arg["value"], arg["op"], arg.get("valueTwo", 0))
                for arg in entry.get("args", ())
            )
            refused.append(SyscallEntry(field, names, action, args))
        elif action.name == "SCMP_ACT_ALLOW":
            quiet += names
    lines = _filters(refused, notes)
    if lines:
        lines.insert(0, ("SystemCallArchitectures", "native"))
    if quiet:
        lines.append(("SystemCallLog", "~" + " ".join(sorted(set(quiet)))))
    return lines


def refused_entries(
    selected: Sequence[Selected], entries: Iterable[SyscallEntry], reaction: Reaction
) -> list[SyscallEntry]:
    """What the drop-in of :func:`unit_settings` has systemd refuse, as seccomp entries."""
    own = {item.rule.name: item for item in selected if item.rule.unit}
    refused = [entry for entry in entries if entry.origin in own or (not entry.args and _refusal(entry))]
    if reaction.deny:
        for name, item in own.items():
            for pair in item.rule.unit:
                refused += [
                    SyscallEntry(name, (syscall,), make_action("SCMP_ACT_ERRNO", None), args)
                    for syscall, args in _REFUSED_BESIDES.get((pair[0], pair[1]), ())
                ]
    return refused


def _filters(entries: Iterable[SyscallEntry], notes: list[NoEffect]) -> list[tuple[str, str]]:
    refused: dict[str, set[str]] = defaultdict(set)
    logged: set[str] = set()
    for entry in entries:
        if entry.args:
            names = ", ".join(entry.names)
            notes.append(NoEffect(entry.origin, f"systemd cannot compare arguments: {names} stay allowed in this unit"))
            continue
        word = _refusal(entry)
        if word:
            refused[word].update(entry.names)
        elif entry.action.name == "SCMP_ACT_LOG":
            logged.update(entry.names)
        else:
            notes.append(NoEffect(entry.origin, f"systemd cannot say {entry.action.name}: this rule does nothing here"))
    lines: list[tuple[str, str]] = []
    for word, syscalls in sorted(refused.items()):
        # The errno stands with each call, so that a unit's own SystemCallErrorNumber= keeps its meaning.
        lines.append(("SystemCallFilter", "~" + " ".join(f"{name}:{word}" for name in sorted(syscalls))))
    if logged:
        lines.append(("SystemCallLog", " ".join(sorted(logged))))
    return lines


def _refusal(entry: SyscallEntry) -> str:
    if entry.action.name == "SCMP_ACT_ERRNO":
        number = entry.action.errno or 0
        return errno.errorcode.get(number, str(number))
    return "kill" if entry.action.name.startswith("SCMP_ACT_KILL") else ""

# SPDX-License-Identifier: Apache-2.0
"""Filters that refuse by default (DefenseInDepth), and the one that records by default (BehaviorModeling)."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from varmor.policy.types import Policy, SyscallArg
from varmor.profile import seccomp_abi, seccomp_multiplex, seccomp_names
from varmor.profile.seccomp import ARCHITECTURES, ENOSYS, LOG_FLAG, all_names, check_raw_rule, overlap_note
from varmor.profile.seccomp_condition import ALWAYS, Cell, subtract
from varmor.profile.seccomp_guard import guard
from varmor.profile.seccomp_import import SeccompImportError, import_profile
from varmor.profile.seccomp_table import (
    ALLOW,
    LOG,
    Action,
    Rule,
    Table,
    cells_of,
    default_action,
    disjoint,
    make_action,
    read_table,
    write_entries,
)
from varmor.profile.selection import Reaction
from varmor.profile.types import NodeFacts, NoEffect, SyscallRefusal

DEFENSE_FIELD = "spec.policy.defenseInDepth.seccomp"
ORIGIN = "defenseInDepth.seccomp"

MODELING_ALLOWED = ("close", "open", "openat", "openat2", "read", "write")
"""What BehaviorModeling lets pass without a record: a model without these calls is no model of any program."""

# runc installs the filter in the container's init before it drops capabilities, changes the user, closes descriptors
# and starts the program. What it calls from there on was read from traces of runc 1.1.5 (with and without
# noNewPrivileges, as root and as another user); close_range is what later releases call for closing. The second group
# is Go's runtime at any moment: locks, threads, memory, signals.
RUNTIME_CALLS = (
    "capget", "capset", "chdir", "close", "close_range", "execve", "faccessat2", "fchown", "fcntl", "fstat", "fstatfs",
    "getcwd", "getdents64", "getpid", "getppid", "newfstatat", "openat", "read", "setgid", "setgroups", "setuid",
    "write",
    "clock_gettime", "epoll_ctl", "epoll_pwait", "exit", "exit_group", "futex", "gettid", "madvise", "mmap", "munmap",
    "nanosleep", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "sigaltstack", "tgkill",
)  # fmt: skip
# PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT
RUNTIME_PRCTL = (8, 22, 23, 24, 38, 47)


def defense_filter(
    policy: Policy,
    source: str | Mapping[str, Any],
    facts: NodeFacts,
    reaction: Reaction,
    notes: list[NoEffect],
    *,
    field: str = f"{DEFENSE_FIELD}.customProfile",
    container: bool = True,
) -> dict[str, Any]:
    """The OCI filter that allows what ``source`` allows and refuses the rest.

    ``source`` is a profile of OCI, Docker or Podman, as text or as JSON object; ``field`` names it in messages. The
    policy's own raw rules are added, the stricter wins. Where ``reaction`` does not refuse, what the profile refuses is
    recorded and let pass; raw rules refuse all the same. With ``container`` the calls that a runtime needs after it has
    installed the filter are allowed too.

    Raises:
        PolicyError: the source is no seccomp profile, or a raw rule is wrong.
        SeccompLibraryError: libseccomp, which knows the names, is missing.
    """
    try:
        imported = import_profile(source, facts)
    except SeccompImportError as error:
        raise policy.error(field, str(error)) from error
    notes += [NoEffect(field, note) for note in imported.notes]
    default = _default(default_action(imported.profile), reaction, field, notes)
    table: Table = defaultdict(list)
    for name, rules in read_table(imported.profile).items():
        table[name] += seccomp_abi.kernel_rules(name, rules if reaction.deny else map(_observed, rules))
    if container:
        _add_runtime_calls(table, field, notes)
    custom = _add_raw_rules(policy, table, reaction, notes)
    decided: Table = {}
    for name, rules in table.items():
        decided[name], exact = disjoint(rules, default)
        if not exact:
            notes.append(NoEffect(field, overlap_note(name)))
    architectures = _architectures(imported.profile, decided, default, custom, field, notes)
    return _profile(imported.profile, default, decided, architectures, audit=reaction.audit)


def _default(found: Action, reaction: Reaction, field: str, notes: list[NoEffect]) -> Action:
    default = found if found.name == "SCMP_ACT_ERRNO" else make_action("SCMP_ACT_ERRNO", None)
    if default != found:
        notes.append(
            NoEffect(field, f"defaultAction {found.name} does nothing here: calls that no entry names are refused")
        )
    return default if reaction.deny else LOG


def _observed(rule: Rule) -> Rule:
    """What the profile refuses is recorded instead; an ENOSYS only makes libc use another call and is no refusal."""
    cell, action = rule
    if not action.denies:
        return rule
    return cell, ALLOW if action.errno == ENOSYS else LOG


def _add_runtime_calls(table: Table, field: str, notes: list[NoEffect]) -> None:
    hindered: list[str] = []
    for name in RUNTIME_CALLS:
        if name not in table:
            table[name].append((ALWAYS, ALLOW))
        elif (ALWAYS, ALLOW) not in table[name]:
            hindered.append(name)
    if (ALWAYS, ALLOW) not in table["prctl"]:
        for value in RUNTIME_PRCTL:
            table["prctl"] += [(cell, ALLOW) for cell in cells_of([SyscallArg(0, value, "SCMP_CMP_EQ")])]
    if hindered:
        notes.append(
            NoEffect(
                field,
                f"a container runtime needs these calls, which the profile allows in part or not at all: "
                f"{', '.join(hindered)}; if containers do not start, allow them",
            )
        )


def _add_raw_rules(policy: Policy, table: Table, reaction: Reaction, notes: list[NoEffect]) -> set[str]:
    """Add the policy's own rules to ``table``; gives the calls that they refuse."""
    defense = policy.defense_in_depth.seccomp if policy.defense_in_depth else None
    if defense is None:
        return set()
    refused: set[str] = set()
    field = f"{DEFENSE_FIELD}.syscallRawRules"
    for index, rule in enumerate(defense.raw_rules):
        entry = check_raw_rule(policy, f"{field}[{index}]", rule, notes)
        for name in all_names(entry) if entry.action.denies else entry.names:
            table[name] += seccomp_abi.kernel_rules(name, [(cell, entry.action) for cell in cells_of(entry.args)])
        if entry.action.denies:
            refused.update(entry.names)
    if defense.raw_rules and not reaction.deny:
        notes.append(NoEffect(field, "allowViolations does not change custom rules: they still deny"))
    return refused


def _architectures(
    imported: Mapping[str, Any], table: Table, default: Action, custom: set[str], field: str, notes: list[NoEffect]
) -> tuple[str, ...]:
    """The architectures of the profile, but x86 where the policy's own rules cannot be said for it."""
    architectures = tuple(imported.get("architectures") or ())
    if seccomp_multiplex.ABI not in architectures:
        return architectures
    unsayable = seccomp_multiplex.close_detours(table, default, custom)
    if unsayable:
        notes.append(NoEffect(f"{DEFENSE_FIELD}.syscallRawRules", seccomp_multiplex.left_out_note(unsayable)))
        return seccomp_multiplex.without_abi(architectures)
    # The profile's own conditions stay as its author knows them from other runtimes, but not in silence.
    partly = [name for name in seccomp_multiplex.MULTIPLEXED if table.get(name) and (ALWAYS, ALLOW) not in table[name]]
    if partly and default.denies:
        notes.append(NoEffect(field, seccomp_multiplex.open_note(partly)))
    return architectures


def _profile(
    imported: Mapping[str, Any], default: Action, table: Table, architectures: Sequence[str], *, audit: bool
) -> dict[str, Any]:
    profile: dict[str, Any] = {"defaultAction": default.name}
    if default.errno is not None:
        profile["defaultErrnoRet"] = default.errno
    if architectures:
        profile["architectures"] = list(architectures)
    flags = dict.fromkeys([*(imported.get("flags") or ()), *([LOG_FLAG] if audit else [])])
    if flags:
        profile["flags"] = list(flags)
    profile["syscalls"] = write_entries(table)
    guard(profile)
    return profile


def modeling_filter(facts: NodeFacts) -> dict[str, Any]:
    """The filter of BehaviorModeling: every call is recorded but the most common ones."""
    profile: dict[str, Any] = {"defaultAction": LOG.name}
    if facts.machine in ARCHITECTURES:
        profile["architectures"] = list(ARCHITECTURES[facts.machine])
    profile["syscalls"] = write_entries({name: [(ALWAYS, ALLOW)] for name in MODELING_ALLOWED})
    return profile


def defense_refusals(oci: Mapping[str, Any]) -> tuple[SyscallRefusal, ...]:
    """What a filter refuses, also by its default, as the calls whose refusal is to be recorded.

    Raises:
        ValueError: not an OCI ``LinuxSeccomp`` object.
        SeccompLibraryError: libseccomp, which knows the names, is missing.
    """
    default, table = default_action(oci), read_table(oci)
    whole: list[str] = []
    partly: dict[Cell, list[str]] = defaultdict(list)
    for name in sorted({*table, *seccomp_names.names()}):
        for cell in _refused(table.get(name, []), default):
            if cell == ALWAYS:
                whole.append(name)
            else:
                partly[cell].append(name)
    found = [SyscallRefusal(tuple(whole), (), ORIGIN)] if whole else []
    return (*found, *(SyscallRefusal(tuple(names), cell, ORIGIN) for cell, names in partly.items()))


def _refused(rules: list[Rule], default: Action) -> list[Cell]:
    refused = [cell for cell, action in rules if action.denies and action.errno != ENOSYS]
    if default.denies:
        rest, exact = subtract(ALWAYS, [cell for cell, _ in rules])
        # What cannot be said is taken whole: a record too many names the policy, one too few hides it.
        refused += rest if exact else [ALWAYS]
    return [ALWAYS] if ALWAYS in refused else refused


def unit_allow_list(oci: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names for ``SystemCallFilter=`` that say a filter, and in sentences what they cannot say.

    systemd adds by itself the calls of its group ``@default`` to any allow-list.

    Raises:
        ValueError: not an OCI ``LinuxSeccomp`` object, or one that does not refuse by default.
    """
    if not default_action(oci).denies:
        raise ValueError("the filter does not refuse by default")
    names: list[str] = []
    conditional: list[str] = []
    for name, rules in sorted(read_table(oci).items()):
        passed = [cell for cell, action in rules if not action.denies]
        if passed:
            names.append(name)
        if passed and (len(passed) < len(rules) or ALWAYS not in passed):
            conditional.append(name)
    notes: list[str] = []
    if conditional:
        notes.append(
            f"systemd cannot compare arguments: {', '.join(conditional)} are allowed whole in this unit, "
            "though the profile sets conditions"
        )
    return tuple(names), tuple(notes)


def unit_error_number(oci: Mapping[str, Any]) -> str:
    """The value of ``SystemCallErrorNumber=`` for a filter: the name of the default's error.

    Raises:
        ValueError: not an OCI ``LinuxSeccomp`` object.
    """
    number = default_action(oci).errno or errno.EPERM
    return errno.errorcode.get(number, str(number))

# SPDX-License-Identifier: Apache-2.0
"""How two AppArmor profiles differ, apart from their path rules: statements class by class."""

from __future__ import annotations

from collections.abc import Iterator

from varmor.advice.apparmor_text import Section, Statement
from varmor.advice.change import Change, Effect
from varmor.advice.path_rules import PathVerdictRule

_CLASSES = ("network", "capability", "mount", "remount", "umount", "pivot_root", "ptrace", "signal", "dbus", "unix")
# Not mediated unless the profile's ABI asks for it: allowing them changes nothing.
_NEWER_CLASSES = frozenset({"userns", "mqueue", "io_uring", "all"})
_FILE_ACCESS = frozenset({"read", "write", "append", "exec", "map", "link", "lock"})


def unconfined() -> Section:
    """What holds without a profile: everything is allowed."""
    section = Section("unconfined")
    section.paths.append(PathVerdictRule("/**", _FILE_ACCESS, allow=True))
    section.statements += [Statement(name, deny=False, audit=False) for name in _CLASSES]
    return section


def statement_changes(old: Section, new: Section, executables: tuple[str, ...]) -> Iterator[Change]:
    """Rules that only one of the sections has, leaving out what the other allows as a class already."""
    before, after = set(_comparable(old)), set(_comparable(new))
    for statement in sorted(before ^ after, key=lambda item: (item.body, item.deny, item.audit)):
        appears = statement in after
        others = before if appears else after
        effect = _effect(statement, others, appears=appears)
        if effect is not None:
            yield Change("AppArmor", effect, statement.body, "", statement.origin, executables)


def _effect(statement: Statement, others: set[Statement], *, appears: bool) -> Effect | None:
    """None where the other side says the same in another way, or says it itself."""
    if any((other.body, other.deny) == (statement.body, statement.deny) for other in others):
        if not appears:
            return None
        return Effect.RECORDED if statement.audit else Effect.UNRECORDED
    if not statement.deny:
        name = statement.body.split()[0].partition("=")[0]
        if name in _NEWER_CLASSES or any(other.body == name and not other.deny for other in others):
            return None
    return Effect.DENIED if statement.deny == appears else Effect.ALLOWED


def _comparable(section: Section) -> Iterator[Statement]:
    """The statements with the profile's own name, as a peer, made the same."""
    for statement in section.statements:
        body = statement.body.replace(section.profile, "SELF") if section.profile else statement.body
        yield Statement(body, statement.deny, statement.audit, statement.origin)

# SPDX-License-Identifier: Apache-2.0
"""Rules for single executables (``targets``): which programs get which rules beside those of their workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from varmor.profile.selection import Selected


@dataclass(frozen=True, slots=True)
class RawText:
    """Custom AppArmor rules as written, with the field that holds them (``…appArmorRawRules[0].rules``)."""

    field: str
    text: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutableGroup:
    """Programs that get the same rules, and these rules without those that hold for the whole workload.

    ``executables`` are full paths in all spellings of :func:`spellings`. The ``targets`` of the rules are those of the
    manifest.
    """

    executables: tuple[str, ...]
    selected: tuple[Selected, ...]
    raw: tuple[RawText, ...] = ()


@dataclass(slots=True)
class _Rules:
    """What one program collects, by name or text: a rule that is given twice counts once."""

    selected: dict[str, Selected] = field(default_factory=dict)
    raw: dict[str, RawText] = field(default_factory=dict)


def spellings(path: str) -> tuple[str, ...]:
    """A program's path, and the one that it has where ``/bin`` is a link to ``/usr/bin``.

    The kernel judges the file that is found in the end: ``/bin/cat`` is run as ``/usr/bin/cat`` on most systems.
    """
    for folder in ("/bin/", "/sbin/", "/lib/", "/lib64/"):
        if path.startswith(folder):
            return path, f"/usr{path}"
        if path.startswith(f"/usr{folder}"):
            return path, path.removeprefix("/usr")
    return (path,)


def group_by_executable(selected: Sequence[Selected], raw: Sequence[RawText] = ()) -> tuple[ExecutableGroup, ...]:
    """The programs that ``targets`` name, those with equal rules together, in the order of their first appearance.

    Entries without targets hold for the whole workload and thus for every program: they are in no group, and repeating
    one of them for a program adds nothing. A program for which nothing is left is in no group either.
    """
    for_all = {item.rule.name for item in selected if not item.targets}
    raw_for_all = {item.text for item in raw if not item.targets}
    programs: dict[str, _Rules] = {}
    for item in selected:
        for target in _paths(item.targets):
            rules = programs.setdefault(target, _Rules())
            if item.rule.name not in for_all:
                rules.selected.setdefault(item.rule.name, item)
    for text in raw:
        for target in _paths(text.targets):
            rules = programs.setdefault(target, _Rules())
            if text.text not in raw_for_all:
                rules.raw.setdefault(text.text, text)
    groups: dict[tuple[frozenset[str], frozenset[str]], tuple[list[str], _Rules]] = {}
    for program, rules in programs.items():
        key = (frozenset(rules.selected), frozenset(rules.raw))
        if any(key):
            groups.setdefault(key, ([], rules))[0].append(program)
    return tuple(
        ExecutableGroup(tuple(names), tuple(rules.selected.values()), tuple(rules.raw.values()))
        for names, rules in groups.values()
    )


def _paths(targets: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for target in targets for path in spellings(target)))

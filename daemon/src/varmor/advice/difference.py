# SPDX-License-Identifier: Apache-2.0
"""What changes when one profile takes the place of another: what becomes allowed, denied, recorded, or no longer so."""

from __future__ import annotations

from collections.abc import Iterator

from varmor.advice.apparmor_difference import statement_changes, unconfined
from varmor.advice.apparmor_text import Section, sections
from varmor.advice.bpf_difference import bpf_changes
from varmor.advice.bpf_rules import path_rules
from varmor.advice.change import Change, Effect, effect_of
from varmor.advice.path_difference import PathChange, TooDifferentError, compare_paths
from varmor.advice.path_rules import PathRules
from varmor.advice.seccomp_difference import seccomp_changes
from varmor.profile.types import BpfProfile, Profile


def difference(old: Profile | None, new: Profile | None) -> list[Change]:
    """All changes from ``old`` to ``new``, each once. None stands for no policy at all."""
    changes = [*_apparmor(old, new), *_bpf(old, new), *_seccomp(old, new), *_unit(old, new)]
    return list(dict.fromkeys(changes))


def _paths(enforcer: str, old: PathRules, new: PathRules, executables: tuple[str, ...]) -> Iterator[Change]:
    accesses: dict[tuple[Effect, str, str], list[PathChange]] = {}
    try:
        for found in compare_paths(old, new):
            accesses.setdefault((effect_of(found.before, found.after), found.pattern, found.origin), []).append(found)
    except TooDifferentError as error:
        yield Change(enforcer, Effect.UNKNOWN, f"path rules: {error}", executables=executables)
    for (effect, pattern, origin), group in accesses.items():
        example = min((found.example for found in group), key=len)
        what = f"{','.join(dict.fromkeys(found.access for found in group))} {pattern}"
        yield Change(enforcer, effect, what, example, origin, executables)


def _apparmor(old: Profile | None, new: Profile | None) -> Iterator[Change]:
    before, after = _sections(old), _sections(new)
    for executables in dict.fromkeys((*before, *after)):
        ours, theirs = before.get(executables, before[()]), after.get(executables, after[()])
        yield from _paths("AppArmor", ours.path_rules(), theirs.path_rules(), executables)
        yield from statement_changes(ours, theirs, executables)


def _sections(profile: Profile | None) -> dict[tuple[str, ...], Section]:
    found: dict[tuple[str, ...], Section] = {(): unconfined()}
    if profile is not None and profile.apparmor is not None:
        found |= {section.executables: section for section in sections(profile.apparmor)}
    return found


def _bpf(old: Profile | None, new: Profile | None) -> Iterator[Change]:
    before, after = _bpf_parts(old), _bpf_parts(new)
    for executables in dict.fromkeys((*before, *after)):
        ours, theirs = before.get(executables, before[()]), after.get(executables, after[()])
        for found in bpf_changes(ours, theirs):
            yield Change("BPF", effect_of(found.before, found.after), found.what, "", found.origin, executables)
        yield from _paths("BPF", path_rules(ours), path_rules(theirs), executables)


def _bpf_parts(profile: Profile | None) -> dict[tuple[str, ...], BpfProfile]:
    base = profile.bpf if profile is not None and profile.bpf is not None else BpfProfile()
    return {(): base, **{group.executables: group.profile for group in base.executables}}


def _seccomp(old: Profile | None, new: Profile | None) -> Iterator[Change]:
    before = old.seccomp if old is not None else None
    after = new.seccomp if new is not None else None
    for found in seccomp_changes(before, after):
        yield Change("Seccomp", effect_of(found.before, found.after), found.what, origin=found.actions)


def _unit(old: Profile | None, new: Profile | None) -> Iterator[Change]:
    before = old.unit.directives if old is not None else ()
    after = new.unit.directives if new is not None else ()
    for lines, others, effect in ((after, before, Effect.DENIED), (before, after, Effect.ALLOWED)):
        for name, value in lines:
            if (name, value) not in others and name != "AppArmorProfile":
                yield Change("systemd", effect, f"what {name}={value} refuses")

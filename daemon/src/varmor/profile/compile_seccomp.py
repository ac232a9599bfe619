# SPDX-License-Identifier: Apache-2.0
"""The seccomp part of a profile, by mode: a filter for containers, systemd's words for units, what is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from varmor.policy.types import Enforcer, Mode, ProfileType
from varmor.profile.model import model_text
from varmor.profile.request import DEFENSE_FIELD, Request
from varmor.profile.seccomp import SyscallEntry, built_in_entries, filter_profile, raw_entries, refusals
from varmor.profile.seccomp_defense import defense_filter, defense_refusals, modeling_filter
from varmor.profile.selection import Selected
from varmor.profile.types import SyscallRefusal, UnitSettings
from varmor.profile.unit import allow_list_lines, refused_entries, unit_settings, unrecorded

_ENFORCER_FIELD = "spec.policy.enforcer"
_PART_FIELD = f"{DEFENSE_FIELD}.seccomp"


@dataclass(frozen=True, slots=True)
class SeccompPart:
    """What goes into :class:`varmor.profile.types.Profile`."""

    filter: dict[str, Any] | None = None
    refused: tuple[SyscallRefusal, ...] = ()
    unit: UnitSettings = field(default_factory=UnitSettings)


def seccomp_part(request: Request) -> SeccompPart:
    """The filter, or for a unit the directives, with AppArmor's in front.

    Raises:
        PolicyError: a custom rule or profile is wrong, or the behaviour model is missing.
        SeccompLibraryError: names are to be checked, and libseccomp is missing.
    """
    custom = raw_entries(request.policy, request.notes)
    if request.policy.mode in (Mode.DEFENSE_IN_DEPTH, Mode.BEHAVIOR_MODELING):
        return _listed(request)
    entries: list[SyscallEntry] = []
    if Enforcer.SECCOMP in request.serving and request.policy.mode is Mode.ENHANCE_PROTECT:
        entries = [*built_in_entries(request.for_all, request.reaction, request.notes), *custom]
    return SeccompPart(
        filter=None if request.unit else _filter(request, entries),
        refused=_refusals(request, entries),
        unit=_unit(request, entries) if request.unit else UnitSettings(),
    )


def _filter(request: Request, entries: list[SyscallEntry]) -> dict[str, Any] | None:
    """The filter. None leaves the filter that the runtime sets by itself, which is at least as strict."""
    if Enforcer.SECCOMP not in request.serving:
        return None
    made = filter_profile(entries, request.facts.machine, audit=request.reaction.audit, notes=request.notes)
    if made is None:
        request.note(_ENFORCER_FIELD, "Seccomp has nothing to do here; the runtime's own filter stays in place")
    return made


def _rules(request: Request) -> list[Selected]:
    return [item for item in request.for_all if item.rule.seccomp]


def _refusals(request: Request, entries: list[SyscallEntry]) -> tuple[SyscallRefusal, ...]:
    """The refused calls that are to be recorded. ``entries`` are empty where seccomp does not serve."""
    if not request.reaction.audit or not entries:
        return ()
    return refusals(refused_entries(_rules(request), entries, request.reaction) if request.unit else entries)


def _unit(request: Request, entries: list[SyscallEntry]) -> UnitSettings:
    seccomp, apparmor = Enforcer.SECCOMP in request.serving, Enforcer.APPARMOR in request.serving
    settings = unit_settings(
        request.name,
        apparmor=apparmor,
        selected=_rules(request) if seccomp and request.policy.mode is Mode.ENHANCE_PROTECT else [],
        entries=entries,
        reaction=request.reaction,
        notes=request.notes,
        recorded=request.facts.records_seccomp,
    )
    if seccomp and len(settings.directives) == int(apparmor):
        request.note(_ENFORCER_FIELD, "Seccomp has nothing to do here; the unit's own settings stay in place")
    return settings


def _listed(request: Request) -> SeccompPart:
    """A filter that names what may be called, or, while modelling, what is not worth a record."""
    lines: list[tuple[str, str]] = []
    if request.unit and Enforcer.APPARMOR in request.serving:
        lines.append(("AppArmorProfile", request.name))
    if Enforcer.SECCOMP not in request.policy.enforcers:
        return SeccompPart(unit=UnitSettings(tuple(lines)))
    made = modeling_filter(request.facts) if request.policy.mode is Mode.BEHAVIOR_MODELING else _defense(request)
    if Enforcer.SECCOMP not in request.serving:
        return SeccompPart(unit=UnitSettings(tuple(lines)))
    refused = defense_refusals(made) if request.reaction.deny else ()
    if not request.unit:
        return SeccompPart(filter=made, refused=refused)
    lines += allow_list_lines(made, request.reaction, _PART_FIELD, request.notes)
    if request.reaction.deny and not request.facts.records_seccomp:
        request.notes.append(unrecorded())
    return SeccompPart(refused=refused, unit=UnitSettings(tuple(lines)))


def _defense(request: Request) -> dict[str, Any]:
    part = request.policy.defense_in_depth.seccomp if request.policy.defense_in_depth else None
    if part is not None and part.profile_type is ProfileType.CUSTOM:
        source, path = part.custom_profile, f"{_PART_FIELD}.customProfile"
    else:
        place = request.place(f"{_PART_FIELD}.profileType")
        source, path = model_text(request, place, "Seccomp"), place.field
    return defense_filter(
        request.policy, source, request.facts, request.reaction, request.notes, field=path, container=not request.unit
    )

# SPDX-License-Identifier: Apache-2.0
"""The AppArmor part of a profile, by mode."""

from __future__ import annotations

from varmor.policy.types import AppArmorDefense, AppArmorRawRule, Mode, ProfileType
from varmor.profile import apparmor_raw
from varmor.profile.apparmor import profile_text, raw_texts
from varmor.profile.apparmor_conflicts import idle_target_rules
from varmor.profile.apparmor_defense import defense_text
from varmor.profile.apparmor_lines import Origin, text_error
from varmor.profile.model import model_text
from varmor.profile.request import DEFENSE_FIELD, Request
from varmor.profile.selection import RULES_FIELD, checked_targets

_PART_FIELD = f"{DEFENSE_FIELD}.appArmor"


def apparmor_text(request: Request) -> str:
    """The text of the profile.

    Raises:
        PolicyError: the custom profile cannot be used, or the behaviour model is missing.
    """
    policy = request.policy
    if policy.mode is not Mode.DEFENSE_IN_DEPTH or policy.defense_in_depth is None:
        request.notes += idle_target_rules(policy, raw_texts(policy))
        return profile_text(request.name, policy, request.selected, request.reaction, request.facts)
    part = policy.defense_in_depth.apparmor
    text, field = _source(request, part) if part else ("", _PART_FIELD)
    return defense_text(policy, request.name, text, request.facts, complain=not request.reaction.deny, field=field)


def _source(request: Request, part: AppArmorDefense) -> tuple[str, str]:
    if part.profile_type is ProfileType.CUSTOM:
        return part.custom_profile, f"{_PART_FIELD}.customProfile"
    place = request.place(f"{_PART_FIELD}.profileType")
    return model_text(request, place, "AppArmor"), place.field


def check_raw_rules(request: Request) -> None:
    """Check ``appArmorRawRules`` as far as no parser is needed, also those that no enforcer of the policy reads.

    Raises:
        PolicyError: rules that could not stand in a profile, or targets where none are possible.
    """
    policy = request.policy
    if policy.enhance_protect is not None:
        _check(request, f"{RULES_FIELD}.appArmorRawRules", policy.enhance_protect.apparmor_raw_rules)
    if policy.defense_in_depth is not None and policy.defense_in_depth.apparmor is not None:
        field, rules = f"{_PART_FIELD}.appArmorRawRules", policy.defense_in_depth.apparmor.raw_rules
        _check(request, field, rules)
        for number, raw in enumerate(rules):
            if raw.targets:
                raise policy.error(
                    f"{field}[{number}].targets",
                    "targets are for enhanceProtect; expected none here: write a child profile into customProfile",
                )


def _check(request: Request, field: str, rules: tuple[AppArmorRawRule, ...]) -> None:
    for number, raw in enumerate(rules):
        checked_targets(request.policy, f"{field}[{number}].targets", raw.targets)
        try:
            apparmor_raw.check(raw.rules)
        except apparmor_raw.RawTextError as error:
            raise text_error(request.policy, Origin(f"{field}[{number}].rules", error.line), error.problem) from error

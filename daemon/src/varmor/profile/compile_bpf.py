# SPDX-License-Identifier: Apache-2.0
"""The BPF part of a profile, by mode."""

from __future__ import annotations

from varmor.policy.types import BpfDefense, Mode, ProfileType
from varmor.profile.bpf import BpfBuilder, executable_rules
from varmor.profile.bpf_allow import allow_list
from varmor.profile.bpf_default import runtime_default_beside
from varmor.profile.bpf_raw import add_raw_rules
from varmor.profile.bpf_shadow import shadow_notes
from varmor.profile.model import find_model
from varmor.profile.request import DEFENSE_FIELD, Request
from varmor.profile.selection import RULES_FIELD
from varmor.profile.types import AllowList, BpfProfile

_RAW_FIELD = f"{RULES_FIELD}.bpfRawRules"
_PART_FIELD = f"{DEFENSE_FIELD}.bpf"


def bpf_profile(request: Request) -> BpfProfile:
    """All rules of the policy for the BPF enforcer, whether the policy or the node has it or not.

    Raises:
        PolicyError: a custom rule is wrong, or the behaviour model is missing.
    """
    match request.policy.mode:
        case Mode.RUNTIME_DEFAULT:
            builder = BpfBuilder(request.facts)
            builder.add_runtime_default(audit=False)
            made = builder.build()
        case Mode.ENHANCE_PROTECT:
            made = _enhanced(request)
        case Mode.DEFENSE_IN_DEPTH:
            made = _defended(request)
        case _:
            made = BpfProfile()
    return made


def _enhanced(request: Request) -> BpfProfile:
    rules, reaction = request.policy.enhance_protect, request.reaction
    builder = BpfBuilder(request.facts)
    if rules is None or not rules.privileged:
        builder.add_runtime_default(audit=reaction.audit)
    builder.add_selected(request.for_all, reaction)
    if rules is not None:
        add_raw_rules(rules.bpf_raw_rules, request.place(_RAW_FIELD), builder, request.notes)
    whole = builder.build()
    request.notes += shadow_notes(whole, request.place(_RAW_FIELD))
    return builder.build(executables=executable_rules(whole, request.selected, reaction, request.facts))


def _defended(request: Request) -> BpfProfile:
    defense = request.policy.defense_in_depth
    if defense is None or defense.bpf is None:
        return BpfProfile()
    builder = BpfBuilder(request.facts)
    raw_place = request.place(f"{_PART_FIELD}.bpfRawRules")
    add_raw_rules(defense.bpf.raw_rules, raw_place, builder, request.notes)
    request.notes += shadow_notes(builder.build(), raw_place)
    allow = _allow_list(request, defense.bpf)
    if not request.reaction.deny:
        # Observation must not be weaker than no policy at all: what runtimes refuse stays refused.
        runtime_default_beside(allow, builder)
    return builder.build(allow)


def _allow_list(request: Request, part: BpfDefense) -> AllowList:
    if part.profile_type is ProfileType.CUSTOM:
        place = request.place(f"{_PART_FIELD}.customProfile")
        return allow_list(part.custom_profile, place, request.reaction, request.notes)
    # The classes of models take a while to be made, and hardly any policy needs them.
    from varmor.profile.bpf_model import allow_list_of_model  # noqa: PLC0415

    place = request.place(f"{_PART_FIELD}.profileType")
    return allow_list_of_model(find_model(request, place), place, request.reaction, request.notes)

# SPDX-License-Identifier: Apache-2.0
"""A policy becomes a profile for one node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from varmor.catalog.types import Catalog
from varmor.policy.types import Enforcer, Mode, Policy
from varmor.profile.compile_apparmor import apparmor_text, check_raw_rules
from varmor.profile.compile_bpf import bpf_profile
from varmor.profile.compile_notes import idle_parts
from varmor.profile.compile_seccomp import seccomp_part
from varmor.profile.request import Request
from varmor.profile.selection import check_expressible, select_rules
from varmor.profile.types import NodeFacts, Profile

if TYPE_CHECKING:
    from varmor.policy.armor_profile_model import ArmorProfileModel


def compile_policy(
    policy: Policy, catalog: Catalog, facts: NodeFacts, models: Sequence[ArmorProfileModel] = ()
) -> Profile:
    """Compile ``policy`` for a node with these facts.

    Everything that the policy says is checked, also for enforcers that the node has not got. What is legal but does
    nothing is listed in ``no_effect``. ``models`` are the behaviour models at hand, for mode DefenseInDepth.

    Raises:
        PolicyError: a rule that does not exist or cannot be expressed, a custom rule or profile that is malformed, or a
            behaviour model that is missing.
        SeccompLibraryError: names of syscalls are to be checked, and the library that knows them is missing.
    """
    request = Request(policy, facts, tuple(models))
    selected = select_rules(policy, catalog, request.notes)
    check_expressible(policy, selected, facts, request.notes)
    if policy.mode is Mode.ENHANCE_PROTECT:
        request.selected = selected
    check_raw_rules(request)
    bpf = bpf_profile(request)
    seccomp = seccomp_part(request)
    text = apparmor_text(request) if Enforcer.APPARMOR in request.serving else None
    request.notes += idle_parts(request)
    return Profile(
        name=request.name,
        policy=policy.key,
        mode=policy.mode,
        enforcers=policy.enforcers,
        apparmor=text,
        seccomp=seccomp.filter,
        bpf=bpf if Enforcer.BPF in request.serving else None,
        unit=seccomp.unit,
        observe=not request.reaction.deny,
        refused_syscalls=seccomp.refused,
        no_effect=tuple(dict.fromkeys(request.notes)),
    )

# SPDX-License-Identifier: Apache-2.0
"""What a policy holds that does nothing where it is compiled."""

from __future__ import annotations

from collections.abc import Iterator

from varmor.policy.remarks import remarks
from varmor.policy.types import BpfRawRules, DefenseInDepth, Enforcer, EnhanceProtect, Mode
from varmor.profile.bpf_raw_network import SERVICES_SETTING
from varmor.profile.request import DEFENSE_FIELD, Request
from varmor.profile.selection import RULES_FIELD
from varmor.profile.services import named_endpoints
from varmor.profile.types import NoEffect

_ENFORCER_FIELD = "spec.policy.enforcer"
_STILL_DENY = "allowViolations does not change custom rules: they still deny"


def idle_parts(request: Request) -> Iterator[NoEffect]:
    """All that can be said without looking at what the parts became."""
    policy, rules = request.policy, request.policy.enhance_protect
    yield from (NoEffect(remark.field, remark.message) for remark in remarks(policy))
    if rules is not None and policy.mode is not Mode.ENHANCE_PROTECT:
        message = f"is read in mode {Mode.ENHANCE_PROTECT.value} only; this is {policy.mode.value}"
        yield NoEffect(RULES_FIELD, message)
    for enforcer in policy.enforcers & ~request.facts.enforcers:
        names = " and ".join(enforcer.names())
        yield NoEffect(_ENFORCER_FIELD, f"{names} is not available on this node: its part of the policy does nothing")
    if policy.mode is Mode.BEHAVIOR_MODELING and Enforcer.BPF in request.serving:
        yield NoEffect(
            _ENFORCER_FIELD,
            "BPF records nothing while it models in this version; AppArmor and Seccomp record what they let pass",
        )
    if rules is not None and policy.mode is Mode.ENHANCE_PROTECT:
        yield from _idle_rules(request, rules)
    if policy.defense_in_depth is not None and policy.mode is Mode.DEFENSE_IN_DEPTH:
        yield from _idle_defense(request, policy.defense_in_depth)


def _idle_rules(request: Request, rules: EnhanceProtect) -> Iterator[NoEffect]:
    enforcers = request.policy.enforcers
    raw = (
        ("appArmorRawRules", bool(rules.apparmor_raw_rules), Enforcer.APPARMOR),
        ("bpfRawRules", rules.bpf_raw_rules != BpfRawRules(), Enforcer.BPF),
        ("syscallRawRules", bool(rules.syscall_raw_rules), Enforcer.SECCOMP),
    )
    for field, given, enforcer in raw:
        if not given:
            continue
        name = enforcer.names()[0]
        if enforcer not in enforcers:
            yield NoEffect(f"{RULES_FIELD}.{field}", f"{name} is not among the policy's enforcers: they do nothing")
        elif rules.allow_violations:
            yield NoEffect(f"{RULES_FIELD}.{field}", _STILL_DENY)
    if request.reaction.nothing and request.selected:
        yield NoEffect(
            f"{RULES_FIELD}.allowViolations",
            "without auditViolations the built-in rules neither refuse nor record anything",
        )
    if Enforcer.BPF in request.serving:
        yield from _unknown_services(request)


def _idle_defense(request: Request, defense: DefenseInDepth) -> Iterator[NoEffect]:
    """Custom BPF rules that go on refusing while the list is only observed; seccomp's are told with its filter."""
    if not defense.allow_violations:
        return
    if defense.bpf and defense.bpf.raw_rules != BpfRawRules() and Enforcer.BPF in request.policy.enforcers:
        yield NoEffect(f"{DEFENSE_FIELD}.bpf.bpfRawRules", _STILL_DENY)


def _unknown_services(request: Request) -> Iterator[NoEffect]:
    """Built-in rules about services that the node knows nothing of."""
    for item in request.selected:
        form = item.rule.bpf
        if form is None or not form.services:
            continue
        if not any(named_endpoints(request.facts, service) for service in form.services):
            names = " or ".join(form.services)
            yield NoEffect(
                item.field,
                f"{item.rule.name} needs the addresses of the service {names}, which this node does not know: "
                f"{SERVICES_SETTING}",
            )

# SPDX-License-Identifier: Apache-2.0
"""What a policy says that does nothing, as far as the manifest alone tells: repeated words and entries, idle parts.

None of this is an error, since the policy means what it would mean without. It is told all the same, because it may be
a slip: who writes a word twice may have meant another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass

from varmor.policy.types import (
    BpfAllowList,
    BpfRawRules,
    DefenseInDepth,
    Enforcer,
    EnhanceProtect,
    Mode,
    Policy,
    ProfileType,
)

_POLICY = "spec.policy"
_NO_ROLLOUT = (
    "nothing starts containers and units of a node again; what runs already gets the part of AppArmor and Seccomp when "
    "it is started the next time"
)
# Where the parsed value is called otherwise than the field of the manifest.
_FIELD_NAMES = {
    "apparmor_raw_rules": "appArmorRawRules",
    "egress": "network.egress.toDestinations",
    "services": "network.egress.toServices",
    "pods": "network.egress.toPods",
    "sockets": "network.sockets",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that does nothing: the field, and why."""

    field: str
    message: str


def remarks(policy: Policy) -> tuple[Remark, ...]:
    """All of a policy's remarks, in the order of its fields.

    That ``enhanceProtect`` is idle in another mode is said where policies are compiled.
    """
    found = [*_repeated(policy.target.containers, "spec.target.containers")]
    if policy.update_existing_workloads and policy.target.kind.local:
        found.append(Remark("spec.updateExistingWorkloads", _NO_ROLLOUT))
    if policy.enhance_protect is not None:
        found += _of_rules(policy.enhance_protect, f"{_POLICY}.enhanceProtect")
    if policy.modeling_options is not None and policy.mode is not Mode.BEHAVIOR_MODELING:
        found.append(_idle("modelingOptions", Mode.BEHAVIOR_MODELING, policy.mode))
    if policy.defense_in_depth is not None:
        if policy.mode is not Mode.DEFENSE_IN_DEPTH:
            found.append(_idle("defenseInDepth", Mode.DEFENSE_IN_DEPTH, policy.mode))
        found += _of_defense(policy.defense_in_depth, policy.enforcers, f"{_POLICY}.defenseInDepth")
    return tuple(found)


def _idle(part: str, needed: Mode, mode: Mode) -> Remark:
    return Remark(f"{_POLICY}.{part}", f"is read in mode {needed.value} only; this is {mode.value}")


def _of_rules(rules: EnhanceProtect, place: str) -> Iterator[Remark]:
    for name, rule_names in (
        ("hardeningRules", rules.hardening_rules),
        ("vulMitigationRules", rules.vul_mitigation_rules),
    ):
        yield from _repeated([_spelled(word) for word in rule_names], f"{place}.{name}")
    seen: dict[tuple[str, frozenset[str]], str] = {}
    for index, group in enumerate(rules.attack_protection_rules):
        field = f"{place}.attackProtectionRules[{index}]"
        yield from _repeated(group.targets, f"{field}.targets")
        for number, word in enumerate(group.rules):
            at = f"{field}.rules[{number}]"
            first = seen.setdefault((_spelled(word), frozenset(group.targets)), at)
            if first != at:
                yield Remark(at, f"repeats {first.removeprefix(f'{place}.')}: one of them does nothing")
    yield from _entries(rules.apparmor_raw_rules, f"{place}.appArmorRawRules")
    yield from _of_bpf(rules.bpf_raw_rules, f"{place}.bpfRawRules")
    yield from _entries(rules.syscall_raw_rules, f"{place}.syscallRawRules")


def _of_bpf(rules: BpfRawRules | BpfAllowList, place: str) -> Iterator[Remark]:
    for item in fields(rules):
        value = getattr(rules, item.name)
        field = f"{place}.{_field_name(item.name)}"
        if isinstance(value, tuple):
            yield from _entries(value, field)
        elif is_dataclass(value):
            yield from _words_of(value, field)


def _of_defense(parts: DefenseInDepth, enforcers: Enforcer, place: str) -> Iterator[Remark]:
    for name, part, enforcer, text in (
        ("appArmor", parts.apparmor, Enforcer.APPARMOR, bool(parts.apparmor and parts.apparmor.custom_profile)),
        ("seccomp", parts.seccomp, Enforcer.SECCOMP, bool(parts.seccomp and parts.seccomp.custom_profile)),
        ("bpf", parts.bpf, Enforcer.BPF, bool(parts.bpf and parts.bpf.custom_profile != BpfAllowList())),
    ):
        if part is None:
            continue
        if enforcer not in enforcers:
            yield Remark(f"{place}.{name}", f"{enforcer.names()[0]} is not among the policy's enforcers: does nothing")
        if part.profile_type is ProfileType.BEHAVIOR_MODEL and text:
            yield Remark(f"{place}.{name}.customProfile", "profileType BehaviorModel takes the profile from the model")
    if parts.apparmor:
        yield from _entries(parts.apparmor.raw_rules, f"{place}.appArmor.appArmorRawRules")
    if parts.seccomp:
        yield from _entries(parts.seccomp.raw_rules, f"{place}.seccomp.syscallRawRules")
    if parts.bpf:
        yield from _of_bpf(parts.bpf.custom_profile, f"{place}.bpf.customProfile")
        yield from _of_bpf(parts.bpf.raw_rules, f"{place}.bpf.bpfRawRules")


def _entries(entries: Sequence[object], place: str) -> Iterator[Remark]:
    """Entries that repeat an earlier one, and words that are repeated within an entry."""
    yield from _repeated(entries, place)
    for index, entry in enumerate(entries):
        yield from _words_of(entry, f"{place}[{index}]")


def _words_of(entry: object, place: str) -> Iterator[Remark]:
    if not is_dataclass(entry):
        return
    for item in fields(entry):
        value = getattr(entry, item.name)
        if isinstance(value, tuple):
            yield from _repeated(value, f"{place}.{_field_name(item.name)}")


def _repeated(values: Iterable[object], place: str) -> Iterator[Remark]:
    seen: dict[object, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(value, index)
        if first != index:
            yield Remark(f"{place}[{index}]", f"repeats {place.rpartition('.')[2]}[{first}]: one of them does nothing")


def _spelled(rule: str) -> str:
    """A rule's name in the one spelling of the catalog."""
    return rule.strip().lower().replace("_", "-")


def _field_name(name: str) -> str:
    head, *words = name.split("_")
    return _FIELD_NAMES.get(name) or head + "".join(word.capitalize() for word in words)

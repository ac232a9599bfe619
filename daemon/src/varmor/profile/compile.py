# SPDX-License-Identifier: Apache-2.0
"""A policy becomes a profile for one node."""

from __future__ import annotations

from typing import Any

from varmor.catalog.types import Catalog
from varmor.policy.parse import profile_name
from varmor.policy.types import Enforcer, Mode, Policy, TargetKind
from varmor.profile import apparmor_raw
from varmor.profile.apparmor import profile_text
from varmor.profile.bpf import BpfBuilder
from varmor.profile.bpf_raw import add_raw_rules
from varmor.profile.seccomp import SyscallEntry, built_in_entries, filter_profile, raw_entries, refusals
from varmor.profile.selection import (
    RULES_FIELD,
    Reaction,
    Selected,
    check_expressible,
    refuse_targets,
    select_rules,
)
from varmor.profile.types import BpfProfile, NodeFacts, NoEffect, Profile, SyscallRefusal, UnitSettings
from varmor.profile.unit import refused_entries, unit_settings

_ENFORCER_FIELD = "spec.policy.enforcer"


def compile_policy(policy: Policy, catalog: Catalog, facts: NodeFacts) -> Profile:
    """Compile ``policy`` for a node with these facts.

    Everything that the policy says is checked, also for enforcers that the node has not got. What is legal but does
    nothing is listed in ``no_effect``.

    Raises:
        PolicyError: a rule that does not exist or cannot be expressed, or a custom rule that is malformed.
        SeccompLibraryError: ``syscallRawRules`` are there, and the library that knows the names is not.
    """
    return _Compilation(policy, catalog, facts).profile()


class _Compilation:
    def __init__(self, policy: Policy, catalog: Catalog, facts: NodeFacts) -> None:
        self._policy = policy
        self._facts = facts
        self._notes: list[NoEffect] = []
        self._enhance = policy.mode is Mode.ENHANCE_PROTECT
        rules = policy.enhance_protect if self._enhance else None
        self._reaction = Reaction(
            deny=not (rules and rules.allow_violations), audit=bool(rules and rules.audit_violations)
        )
        self._privileged = bool(rules and rules.privileged)
        selected = select_rules(policy, catalog, self._notes)
        check_expressible(policy, selected, facts, self._notes)
        self._selected = selected if self._enhance else ()
        self._bpf_builder = BpfBuilder()
        self._raw_syscalls = raw_entries(policy, self._notes)
        self._check_raw_rules()
        self._note_idle_parts()

    def profile(self) -> Profile:
        policy, serving = self._policy, self._policy.enforcers & self._facts.enforcers
        name = profile_name(policy.key)
        unit = policy.target.kind is TargetKind.UNIT
        entries = self._syscall_entries() if Enforcer.SECCOMP in serving else []
        text = None
        if Enforcer.APPARMOR in serving:
            text = profile_text(name, policy, self._selected, self._reaction, self._facts)
        return Profile(
            name=name,
            policy=policy.key,
            mode=policy.mode,
            enforcers=policy.enforcers,
            apparmor=text,
            seccomp=None if unit else self._seccomp(entries),
            bpf=self._bpf() if Enforcer.BPF in serving else None,
            unit=self._unit(name, entries, serving) if unit else UnitSettings(),
            observe=not self._reaction.deny,
            refused_syscalls=self._refusals(entries, unit=unit),
            no_effect=tuple(dict.fromkeys(self._notes)),
        )

    def _check_raw_rules(self) -> None:
        rules = self._policy.enhance_protect
        add_raw_rules(self._policy, self._bpf_builder)
        if rules is None:
            return
        for number, raw in enumerate(rules.apparmor_raw_rules):
            place = f"{RULES_FIELD}.appArmorRawRules[{number}]"
            if raw.targets:
                refuse_targets(self._policy, f"{place}.targets", self._notes)
            try:
                apparmor_raw.check(raw.rules)
            except apparmor_raw.RawTextError as error:
                raise self._policy.error(f"{place}.rules", str(error)) from error

    def _note_idle_parts(self) -> None:
        """Say what the policy holds that does nothing."""
        policy, rules = self._policy, self._policy.enhance_protect
        if rules is not None and not self._enhance:
            self._note(RULES_FIELD, f"is read in mode {Mode.ENHANCE_PROTECT.value} only; this is {policy.mode.value}")
        for enforcer in policy.enforcers & ~self._facts.enforcers:
            names = " and ".join(enforcer.names())
            self._note(_ENFORCER_FIELD, f"{names} is not available on this node: its part of the policy does nothing")
        if rules is None or not self._enhance:
            return
        raw = (
            ("appArmorRawRules", rules.apparmor_raw_rules, Enforcer.APPARMOR),
            ("bpfRawRules", self._bpf_builder.build() != BpfProfile(), Enforcer.BPF),
            ("syscallRawRules", rules.syscall_raw_rules, Enforcer.SECCOMP),
        )
        for field, given, enforcer in raw:
            if not given:
                continue
            name = enforcer.names()[0]
            if enforcer not in policy.enforcers:
                self._note(f"{RULES_FIELD}.{field}", f"{name} is not among the policy's enforcers: they do nothing")
            elif rules.allow_violations:
                self._note(f"{RULES_FIELD}.{field}", "allowViolations does not change custom rules: they still deny")
        if self._reaction.nothing and self._selected:
            self._note(
                f"{RULES_FIELD}.allowViolations",
                "without auditViolations the built-in rules neither refuse nor record anything",
            )

    def _note(self, field: str, message: str) -> None:
        self._notes.append(NoEffect(field, message))

    def _bpf(self) -> BpfProfile:
        builder = BpfBuilder()
        if self._policy.mode is Mode.ALWAYS_ALLOW:
            return builder.build()
        if not self._privileged:
            builder.add_runtime_default(audit=self._reaction.audit)
        if self._enhance:
            builder.add_selected(self._selected, self._reaction)
            add_raw_rules(self._policy, builder)
        return builder.build()

    def _syscall_entries(self) -> list[SyscallEntry]:
        if not self._enhance:
            return []
        return [*built_in_entries(self._selected, self._reaction, self._notes), *self._raw_syscalls]

    def _seccomp(self, entries: list[SyscallEntry]) -> dict[str, Any] | None:
        """The filter. None leaves the filter that the runtime sets by itself, which is at least as strict."""
        if Enforcer.SECCOMP not in self._policy.enforcers & self._facts.enforcers:
            return None
        made = filter_profile(entries, self._facts.machine, audit=self._reaction.audit, notes=self._notes)
        if made is None:
            self._note(_ENFORCER_FIELD, "Seccomp has nothing to do here; the runtime's own filter stays in place")
        return made

    def _seccomp_rules(self) -> list[Selected]:
        return [item for item in self._selected if item.rule.seccomp]

    def _refusals(self, entries: list[SyscallEntry], *, unit: bool) -> tuple[SyscallRefusal, ...]:
        """The refused calls that are to be recorded. ``entries`` are empty where seccomp does not serve."""
        if not self._reaction.audit or not entries:
            return ()
        return refusals(refused_entries(self._seccomp_rules(), entries, self._reaction) if unit else entries)

    def _unit(self, name: str, entries: list[SyscallEntry], serving: Enforcer) -> UnitSettings:
        seccomp = Enforcer.SECCOMP in serving
        selected = self._seccomp_rules() if seccomp else []
        settings = unit_settings(
            name,
            apparmor=Enforcer.APPARMOR in serving,
            selected=selected,
            entries=entries,
            reaction=self._reaction,
            notes=self._notes,
            recorded=self._facts.records_seccomp,
        )
        if seccomp and len(settings.directives) == int(Enforcer.APPARMOR in serving):
            self._note(_ENFORCER_FIELD, "Seccomp has nothing to do here; the unit's own settings stay in place")
        return settings

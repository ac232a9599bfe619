# SPDX-License-Identifier: Apache-2.0
"""``spec.policy.enhanceProtect``: built-in rules by name, and custom rules of each enforcer."""

from __future__ import annotations

from varmor.policy.cursor import Cursor
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.parse_bpf_rules import bpf_rules
from varmor.policy.parse_raw_rules import apparmor_rule, executable, syscall_rule
from varmor.policy.types import BpfRawRules, EnhanceProtect, RuleGroup


def enhance_protect(cursor: Cursor) -> EnhanceProtect:
    """Read ``spec.policy.enhanceProtect``.

    Raises:
        PolicyError: an unknown field, a wrong type, or a part that is not built yet.
    """
    cursor.only(
        (
            "hardeningRules", "attackProtectionRules", "vulMitigationRules", "appArmorRawRules", "bpfRawRules",
            "syscallRawRules", "privileged", "auditViolations", "allowViolations",
        ),
        {"networkProxyRawRules": NOT_BUILT},
    )  # fmt: skip
    bpf = cursor.maybe("bpfRawRules")
    return EnhanceProtect(
        hardening_rules=cursor.strings("hardeningRules"),
        attack_protection_rules=cursor.each("attackProtectionRules", _rule_group),
        vul_mitigation_rules=cursor.strings("vulMitigationRules"),
        apparmor_raw_rules=cursor.each("appArmorRawRules", apparmor_rule),
        bpf_raw_rules=bpf_rules(bpf) if bpf else BpfRawRules(),
        syscall_raw_rules=cursor.each("syscallRawRules", syscall_rule),
        privileged=cursor.flag("privileged"),
        audit_violations=cursor.flag("auditViolations"),
        allow_violations=cursor.flag("allowViolations"),
    )


def _rule_group(cursor: Cursor) -> RuleGroup:
    if isinstance(cursor.value.data, str):
        raise cursor.error(f"expected a mapping such as {{rules: [{cursor.value.data[:60]}]}}, found a string")
    cursor.only(("rules", "targets"))
    return RuleGroup(cursor.strings("rules", required=True), cursor.each("targets", executable))

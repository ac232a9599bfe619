# SPDX-License-Identifier: Apache-2.0
"""``ptrace`` of ``bpfRawRules``. It stands beside the built-in rules' and never changes what those refuse."""

from __future__ import annotations

from varmor.policy.types import BpfPtraceRule
from varmor.profile.bpf_words import PTRACE
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.types import PtracePermission, PtraceRule

_ALL = PtracePermission.TRACE | PtracePermission.READ | PtracePermission.TRACED_BY | PtracePermission.READ_BY


def ptrace_rule(place: Place, rule: BpfPtraceRule, reaction: Reaction) -> PtraceRule:
    """The rule of the entry.

    Raises:
        PolicyError: an unknown permission.
    """
    permissions = PtracePermission(0)
    for permission in place.at("permissions").lookup(rule.permissions, PTRACE, "permission"):
        permissions |= permission
    return PtraceRule(permissions & _ALL, rule.strict_mode, reaction.deny, reaction.audit, place.origin)

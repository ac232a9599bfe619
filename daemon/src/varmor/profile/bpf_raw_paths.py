# SPDX-License-Identifier: Apache-2.0
"""``files[]`` and ``processes[]`` of ``bpfRawRules``. Both take all permissions, as upstream's do."""

from __future__ import annotations

from varmor.policy.types import BpfPathRule
from varmor.profile.bpf_words import PERMISSIONS
from varmor.profile.pattern import PatternError, canonical
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.types import Access, PathRule

_EXPECTED = "read, write, append, exec, map or all"


def path_rule(place: Place, rule: BpfPathRule, reaction: Reaction) -> PathRule:
    """The rule of one entry.

    Raises:
        PolicyError: an unknown permission, or a pattern that is malformed or can never match.
    """
    access = Access(0)
    for permission in place.at("permissions").lookup(rule.permissions, PERMISSIONS, "permission", _EXPECTED):
        access |= permission
    try:
        pattern = canonical(rule.pattern)
    except PatternError as error:
        raise place.at("pattern").error(str(error)) from error
    return PathRule(pattern, access, reaction.deny, reaction.audit, place.origin)

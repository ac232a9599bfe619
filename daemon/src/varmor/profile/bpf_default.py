# SPDX-License-Identifier: Apache-2.0
"""The runtime default beside an allow-list that only observes: what the list does not speak about stays refused."""

from __future__ import annotations

from varmor.profile.automaton import TooManyStatesError, build
from varmor.profile.bpf import BpfBuilder
from varmor.profile.types import Access, AllowList, PathRule

_MAX_STATES = 20_000
_RULE, _LISTED = 1, 2


def runtime_default_beside(allow: AllowList, builder: BpfBuilder) -> None:
    """Add the runtime default to ``builder`` without what would refuse something that ``allow`` names."""
    default = BpfBuilder(builder.facts)
    default.add_runtime_default(audit=allow.audit)
    builder.paths.update((rule, None) for rule in default.paths if not _named(rule, allow.paths))
    if not allow.mounts:
        builder.mounts.update(default.mounts)
    if not allow.ptrace:
        builder.ptrace.update(default.ptrace)


def _named(rule: PathRule, listed: tuple[PathRule, ...]) -> bool:
    """Whether the list allows anything that the rule refuses."""
    allowed = [entry for entry in listed if entry.access & rule.access & ~Access.MAP]
    if not allowed:
        return False
    try:
        automaton = build([(rule.pattern, _RULE), *((entry.pattern, _LISTED) for entry in allowed)], _MAX_STATES)
    except TooManyStatesError:
        return True
    return any(accept == _RULE | _LISTED for accept in automaton.accepts)

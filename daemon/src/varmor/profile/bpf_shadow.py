# SPDX-License-Identifier: Apache-2.0
"""Custom BPF rules that contradict others or add nothing to them.

Refusals win: a rule that is to let something pass and record it says nothing where another refuses the same. What is
found is what can be told cheaply and for sure: equal patterns, single paths within a pattern, networks within networks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from varmor.profile.bpf_words import UMOUNT
from varmor.profile.glob import regex
from varmor.profile.place import Place
from varmor.profile.types import BpfProfile, EgressRule, MountRule, NoEffect, PathRule, PtraceRule, SocketRule

_Rule = TypeVar("_Rule", PathRule, EgressRule, MountRule, SocketRule, PtraceRule)

_WILD = re.compile(r"[*?\[{]")
_QUOTED = re.compile(r"\\(.)")
_compiled = functools.lru_cache(maxsize=1024)(regex)


def shadow_notes(profile: BpfProfile, raw: Place) -> Iterator[NoEffect]:
    """Notes about the rules of ``profile`` that stand at ``raw``, the field ``bpfRawRules``."""
    yield from _compare(profile.paths, raw, _covers_path)
    yield from _compare(profile.egress, raw, _covers_egress)
    yield from _compare(profile.mounts, raw, _covers_mount)
    yield from _compare(profile.sockets, raw, _covers_socket)
    yield from _compare(profile.ptrace, raw, _covers_ptrace)


def _compare(rules: Iterable[_Rule], raw: Place, covers: Callable[[_Rule, _Rule], bool]) -> Iterator[NoEffect]:
    """At most one note for each field that holds a custom rule; all rules of the field must be covered."""
    found = list(rules)
    places: dict[str, list[_Rule]] = {}
    for rule in found:
        if rule.origin.startswith(raw.origin):
            places.setdefault(rule.origin, []).append(rule)
    order = {id(rule): number for number, rule in enumerate(found)}
    for origin, own in places.items():
        others = [rule for rule in found if rule.origin != origin]
        stronger = [_stronger(rule, others, covers, order) for rule in own]
        if stronger[0] is not None and None not in stronger:
            field = raw.field + origin[len(raw.origin) :]
            yield NoEffect(field, _message(own[0], stronger[0]))


def _stronger(
    rule: _Rule, others: list[_Rule], covers: Callable[[_Rule, _Rule], bool], order: dict[int, int]
) -> _Rule | None:
    for other in others:
        if not covers(other, rule):
            continue
        contradicted = not rule.deny and other.deny
        repeated = other.deny >= rule.deny and other.audit >= rule.audit
        # Of two equal rules the first one stays.
        mutual = covers(rule, other) and (rule.deny, rule.audit) == (other.deny, other.audit)
        if contradicted or (repeated and (not mutual or order[id(other)] < order[id(rule)])):
            return other
    return None


def _message(rule: _Rule, stronger: _Rule) -> str:
    if not rule.deny and stronger.deny:
        custom = "bpfRawRules" in stronger.origin
        how = "give that rule the qualifiers deny and audit" if custom else "set auditViolations"
        return f"is to let pass and record what {stronger.origin} refuses: it stays refused; to record refusals {how}"
    return f"adds nothing: {stronger.origin} covers all of it"


def _covers_path(wide: PathRule, narrow: PathRule) -> bool:
    if narrow.access & ~wide.access:
        return False
    if wide.pattern == narrow.pattern:
        return True
    single = not _WILD.search(_QUOTED.sub("", narrow.pattern))
    return single and bool(_compiled(wide.pattern).fullmatch(_QUOTED.sub(r"\1", narrow.pattern).encode()))


def _covers_egress(wide: EgressRule, narrow: EgressRule) -> bool:
    if wide.network is not None and not _within(wide, narrow):
        return False
    return not wide.ports or (
        bool(narrow.ports)
        and all(any(low <= port[0] and port[1] <= high for low, high in wide.ports) for port in narrow.ports)
    )


def _within(wide: EgressRule, narrow: EgressRule) -> bool:
    if wide.network is None or narrow.network is None or wide.network.version != narrow.network.version:
        return False
    shift = wide.network.max_prefixlen - wide.network.prefixlen
    return (
        narrow.network.prefixlen >= wide.network.prefixlen
        and int(narrow.network.network_address) >> shift == int(wide.network.network_address) >> shift
    )


def _covers_mount(wide: MountRule, narrow: MountRule) -> bool:
    same_source = wide.source in ("**", narrow.source) and wide.target in ("**", narrow.target)
    if not same_source or wide.fstype not in ("*", narrow.fstype):
        return False
    if narrow.flags & UMOUNT and not wide.flags & UMOUNT:
        return False
    return not narrow.flags & ~wide.flags & ~UMOUNT and not narrow.reverse & ~wide.reverse


def _covers_socket(wide: SocketRule, narrow: SocketRule) -> bool:
    pairs = ((wide.domains, narrow.domains), (wide.types, narrow.types), (wide.protocols, narrow.protocols))
    return all(not all_of or (one and not one & ~all_of) for all_of, one in pairs)


def _covers_ptrace(wide: PtraceRule, narrow: PtraceRule) -> bool:
    return not narrow.permissions & ~wide.permissions and (wide.everywhere or not narrow.everywhere)

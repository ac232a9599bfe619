# SPDX-License-Identifier: Apache-2.0
"""The BPF enforcer's rules as verdicts on single requests, allow-lists included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

from varmor.advice.path_rules import PathRules, PathVerdictRule, Verdict
from varmor.profile.tables import ALLOW_LIST
from varmor.profile.types import Access, BpfProfile, EgressRule, PtracePermission, SocketProtocol, SocketRule

Network = IPv4Network | IPv6Network
Judged = tuple[Verdict, str]
"""A verdict and the origin of the rule that decided (empty: none did)."""

ALL_CAPABILITIES = range(41)


class _Rule(Protocol):
    @property
    def deny(self) -> bool: ...
    @property
    def audit(self) -> bool: ...
    @property
    def origin(self) -> str: ...


def access_names(access: Access) -> frozenset[str]:
    """``Access`` as words. Executing includes mapping, as the kernel side takes it."""
    names = {flag.name.lower() for flag in Access if flag in access and flag.name}
    return frozenset(names | ({"map"} if Access.EXEC in access else set()))


def path_rules(profile: BpfProfile) -> PathRules:
    """The path rules of a profile, with the default of its allow-list."""
    rules = [
        PathVerdictRule(rule.pattern, access_names(rule.access), rule.deny, rule.audit, origin=rule.origin)
        for rule in profile.paths
    ]
    allow = profile.allow
    if allow is None:
        return PathRules(tuple(rules))
    rules += [
        PathVerdictRule(rule.pattern, access_names(rule.access), allow=True, origin=rule.origin) for rule in allow.paths
    ]
    every = access_names(Access.READ | Access.WRITE | Access.APPEND | Access.EXEC | Access.MAP)
    nothing: frozenset[str] = frozenset()
    return PathRules(
        tuple(rules),
        every if allow.deny else nothing,
        every if allow.audit else nothing,
        default_origin=ALLOW_LIST,
    )


def _decide(rules: Sequence[_Rule], profile: BpfProfile, *, allowed: Sequence[_Rule] | bool) -> Judged:
    """The verdict where ``rules`` match, and the allow-list (if there is one) does or does not let it pass."""
    denials = [rule for rule in rules if rule.deny]
    audits = [rule for rule in rules if rule.audit]
    lacking = profile.allow is not None and not allowed
    denied = bool(denials) or (lacking and profile.allow is not None and profile.allow.deny)
    recorded = bool(audits) or (lacking and profile.allow is not None and profile.allow.audit)
    deciding = denials or audits
    origin = deciding[0].origin if deciding else (ALLOW_LIST if denied or recorded else "")
    return Verdict(denied, recorded), origin


def judge_capability(profile: BpfProfile, number: int) -> Judged:
    """The verdict on a capability."""
    rules = [rule for rule in profile.capabilities if rule.mask >> number & 1]
    allowed = profile.allow is not None and bool(profile.allow.capabilities >> number & 1)
    return _decide(rules, profile, allowed=allowed)


def judge_operation(profile: BpfProfile, operation: str) -> Judged:
    """The verdict on an operation such as ``userns_create``."""
    rules = [rule for rule in profile.switches if rule.operation == operation]
    return _decide(rules, profile, allowed=profile.allow is not None and operation in profile.allow.switches)


def judge_ptrace(profile: BpfProfile, permission: PtracePermission, *, inside: bool) -> Judged:
    """The verdict on ptrace, ``inside`` the workload or across its border."""
    rules = [rule for rule in profile.ptrace if permission in rule.permissions and (rule.everywhere or not inside)]
    allow = profile.allow.ptrace if profile.allow is not None else ()
    allowed = inside or any(permission in rule.permissions for rule in allow)
    return _decide(rules, profile, allowed=allowed)


def judge_socket(profile: BpfProfile, domain: int, kind: int, protocol: SocketProtocol) -> Judged:
    """The verdict on making a socket."""

    def matching(rules: Iterable[SocketRule]) -> list[SocketRule]:
        return [
            rule
            for rule in rules
            if (not rule.domains or rule.domains >> domain & 1)
            and (not rule.types or rule.types >> kind & 1)
            and (not rule.protocols or protocol & rule.protocols)
        ]

    allow = profile.allow.sockets if profile.allow is not None else ()
    return _decide(matching(profile.sockets), profile, allowed=matching(allow))


def judge_egress(profile: BpfProfile, address: IPv4Address | IPv6Address | Network, port: int) -> Judged:
    """The verdict on connecting to an address, or to every address of a network, at a port."""

    def matching(rules: Iterable[EgressRule]) -> list[EgressRule]:
        return [
            rule
            for rule in rules
            if _contains(rule.network, address)
            and (not rule.ports or any(low <= port <= high for low, high in rule.ports))
        ]

    allow = profile.allow.egress if profile.allow is not None else ()
    return _decide(matching(profile.egress), profile, allowed=matching(allow))


def _contains(network: Network | None, address: IPv4Address | IPv6Address | Network) -> bool:
    if network is None:
        return True
    if network.version != address.version:
        return False
    if isinstance(address, IPv4Address | IPv6Address):
        return address in network
    return network.prefixlen <= address.prefixlen and address.network_address in network

# SPDX-License-Identifier: Apache-2.0
"""``bpfRawRules``: a person's own rules for the BPF enforcer, checked word by word."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from varmor.policy.nearest import did_you_mean
from varmor.policy.types import BpfPathRule, Destination, Policy
from varmor.profile.bpf import WRITE, BpfBuilder
from varmor.profile.pattern import PatternError, canonical
from varmor.profile.selection import RULES_FIELD, Reaction
from varmor.profile.types import Access, EgressRule, PathRule

_QUALIFIERS = ("deny", "audit")
_ALL = Access.READ | WRITE | Access.EXEC
_PERMISSIONS = {
    "all": _ALL, "*": _ALL, "read": Access.READ, "r": Access.READ, "write": WRITE, "w": WRITE,
    "append": Access.APPEND, "a": Access.APPEND, "exec": Access.EXEC, "x": Access.EXEC,
}  # fmt: skip
_V4_MAPPED = IPv6Network("::ffff:0:0/96")
# 127.0.0.1 alone would leave the rest of the loopback network as a way to the same services.
_SPECIAL = {
    "localhost": (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
    "unspecified": (IPv4Network("0.0.0.0/32"), IPv6Network("::/128")),
}


def add_raw_rules(policy: Policy, builder: BpfBuilder) -> None:
    """Add a policy's ``bpfRawRules`` to ``builder``.

    Raises:
        PolicyError: an unknown word, a pattern that cannot match, or a destination that is none.
    """
    if policy.enhance_protect is None:
        return
    raw = policy.enhance_protect.bpf_raw_rules
    for name, rules in (("files", raw.files), ("processes", raw.processes)):
        for index, rule in enumerate(rules):
            made = _path_rule(policy, f"{RULES_FIELD}.bpfRawRules.{name}[{index}]", rule)
            builder.paths[made] = None
    for index, destination in enumerate(raw.egress):
        place = f"{RULES_FIELD}.bpfRawRules.network.egress.toDestinations[{index}]"
        for network in _networks(policy, place, destination):
            ports = tuple(sorted({(port.port, port.end_port or port.port) for port in destination.ports}))
            reaction = _reaction(policy, place, destination.qualifiers)
            builder.egress[EgressRule(network, ports, reaction.deny, reaction.audit, _origin(place))] = None


def _origin(place: str) -> str:
    return place.removeprefix(f"{RULES_FIELD}.")


def _reaction(policy: Policy, place: str, qualifiers: tuple[str, ...]) -> Reaction:
    for index, word in enumerate(qualifiers):
        if word not in _QUALIFIERS:
            hint = "; what no rule denies is allowed anyway" if word == "allow" else did_you_mean(word, _QUALIFIERS)
            raise policy.error(
                f"{place}.qualifiers[{index}]", f"unknown qualifier {word[:40]!r}; expected deny or audit{hint}"
            )
    return Reaction(deny="deny" in qualifiers, audit="audit" in qualifiers)


def _path_rule(policy: Policy, place: str, rule: BpfPathRule) -> PathRule:
    reaction = _reaction(policy, place, rule.qualifiers)
    access = Access(0)
    for index, word in enumerate(rule.permissions):
        if word not in _PERMISSIONS:
            raise policy.error(
                f"{place}.permissions[{index}]",
                f"unknown permission {word[:40]!r}; expected read, write, append, exec or all"
                f"{did_you_mean(word, _PERMISSIONS)}",
            )
        access |= _PERMISSIONS[word]
    try:
        pattern = canonical(rule.pattern)
    except PatternError as error:
        raise policy.error(f"{place}.pattern", str(error)) from error
    return PathRule(pattern, access, reaction.deny, reaction.audit, _origin(place))


def _networks(policy: Policy, place: str, destination: Destination) -> tuple[IPv4Network | IPv6Network | None, ...]:
    if destination.ip and destination.cidr:
        raise policy.error(place, "expected either ip or cidr, found both: make two entries")
    if destination.ip:
        return _addresses(policy, f"{place}.ip", destination.ip)
    if destination.cidr:
        return (_cidr(policy, f"{place}.cidr", destination.cidr),)
    if not destination.ports:
        raise policy.error(place, "expected ip, cidr or ports, found none of them")
    return (None,)


def _addresses(policy: Policy, field: str, word: str) -> tuple[IPv4Network | IPv6Network, ...]:
    name = word.lower()
    if name == "pod-self":
        raise policy.error(field, "the address 'pod-self' is not built yet: give the address itself")
    if name in _SPECIAL:
        return _SPECIAL[name]
    try:
        address = ip_address(word)
    except ValueError as error:
        raise policy.error(
            field, f"{word[:80]!r} is no IP address; expected one, 'localhost' or 'unspecified' (for networks use cidr)"
        ) from error
    if getattr(address, "scope_id", None):
        raise policy.error(field, f"{word[:80]!r} names an interface, which is not looked at: leave out the % part")
    return (_unmapped(ip_network(address)),)


def _cidr(policy: Policy, field: str, word: str) -> IPv4Network | IPv6Network:
    try:
        loose = ip_network(word, strict=False)
    except ValueError as error:
        raise policy.error(field, f"{word[:80]!r} is no network; expected one such as 10.0.0.0/8") from error
    if "/" not in word:
        raise policy.error(field, f"{word[:80]!r} has no prefix length; expected {loose} or the field ip")
    try:
        return _unmapped(ip_network(word))
    except ValueError as error:
        raise policy.error(field, f"{word[:80]!r} has host bits set; the network is {loose}") from error


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """IPv4-mapped addresses as IPv4: the kernel side judges them so."""
    if isinstance(network, IPv6Network) and network.subnet_of(_V4_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network

# SPDX-License-Identifier: Apache-2.0
"""``network`` of ``bpfRawRules``: sockets, and egress to addresses and services."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from varmor.policy.types import BpfSocketRule, Destination, Port, ServiceDestination
from varmor.profile.bpf_words import ANY_WORDS, DOMAINS, PROTOCOLS, TYPES, bits
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.services import endpoints
from varmor.profile.types import EgressRule, NodeFacts, NoEffect, SocketProtocol, SocketRule

Network = IPv4Network | IPv6Network

SERVICES_SETTING = "list it in the daemon's settings under `services`"
_POD_SELF = "pod-self"
_V4_MAPPED = IPv6Network("::ffff:0:0/96")
# 127.0.0.1 alone would leave the rest of the loopback network as a way to the same services.
_SPECIAL = {
    "localhost": (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
    "unspecified": (IPv4Network("0.0.0.0/32"), IPv6Network("::/128")),
}


def socket_rule(place: Place, rule: BpfSocketRule, reaction: Reaction) -> SocketRule:
    """The rule of one ``sockets[]`` entry. ``all`` and what is left out mean any.

    Raises:
        PolicyError: an unknown domain, type or protocol.
    """
    protocols = SocketProtocol(0)
    for protocol in _words(place.at("protocols"), rule.protocols, PROTOCOLS, "protocol"):
        protocols |= SocketProtocol(protocol)
    return SocketRule(
        domains=bits(_words(place.at("domains"), rule.domains, DOMAINS, "domain")),
        types=bits(_words(place.at("types"), rule.types, TYPES, "type")),
        protocols=protocols,
        deny=reaction.deny,
        audit=reaction.audit,
        origin=place.origin,
    )


def _words(place: Place, words: tuple[str, ...], table: Mapping[str, int], what: str) -> tuple[int, ...]:
    found = place.lookup(words, {**table, **dict.fromkeys(ANY_WORDS, 0)}, f"socket {what}")
    return () if any(word.lower() in ANY_WORDS for word in words) else found


def destination_rules(
    place: Place, destination: Destination, reaction: Reaction, notes: list[NoEffect]
) -> list[EgressRule]:
    """The rules of one ``toDestinations[]`` entry: one for each network that it means.

    Raises:
        PolicyError: an address or network that is none.
    """
    ports = _ports(destination.ports)
    return [
        EgressRule(network, ports, reaction.deny, reaction.audit, place.origin)
        for network in _networks(place, destination, notes)
    ]


def service_rules(
    place: Place, service: ServiceDestination, reaction: Reaction, facts: NodeFacts, notes: list[NoEffect]
) -> list[EgressRule]:
    """The rules of one ``toServices[]`` entry; none, with a note, when the node knows no such service."""
    found = endpoints(facts, service)
    if not found:
        name = f"the service {service.namespace}/{service.name}" if service.name else "services with these labels"
        notes.append(place.note(f"needs the addresses of {name}, which this node does not know: {SERVICES_SETTING}"))
    return [EgressRule(network, ports, reaction.deny, reaction.audit, place.origin) for network, ports in found]


def _ports(ports: tuple[Port, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted({(port.port, port.end_port or port.port) for port in ports}))


def _networks(place: Place, destination: Destination, notes: list[NoEffect]) -> tuple[Network | None, ...]:
    if destination.ip:
        return _addresses(place.at("ip"), destination.ip, notes)
    if destination.cidr:
        return (_cidr(place.at("cidr"), destination.cidr),)
    return (None,)


def _addresses(place: Place, word: str, notes: list[NoEffect]) -> tuple[Network, ...]:
    name = word.lower()
    if name == _POD_SELF:
        notes.append(
            place.note("'pod-self' needs the controller of a cluster: a node alone does not know a pod's addresses")
        )
        return ()
    if name in _SPECIAL:
        return _SPECIAL[name]
    try:
        address = ip_address(word)
    except ValueError as error:
        raise place.error(
            f"{word[:80]!r} is no IP address; expected one, 'localhost', 'unspecified' or 'pod-self' (for networks use "
            "cidr)"
        ) from error
    if getattr(address, "scope_id", None):
        raise place.error(f"{word[:80]!r} names an interface, which is not looked at: leave out the % part")
    return (_unmapped(ip_network(address)),)


def _cidr(place: Place, word: str) -> Network:
    try:
        loose = ip_network(word, strict=False)
    except ValueError as error:
        raise place.error(f"{word[:80]!r} is no network; expected one such as 10.0.0.0/8") from error
    if "/" not in word:
        raise place.error(f"{word[:80]!r} has no prefix length; expected {loose} or the field ip")
    try:
        return _unmapped(ip_network(word))
    except ValueError as error:
        raise place.error(f"{word[:80]!r} has host bits set; the network is {loose}") from error


def _unmapped(network: Network) -> Network:
    """IPv4-mapped addresses as IPv4: the kernel side judges them so."""
    if isinstance(network, IPv6Network) and network.subnet_of(_V4_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network

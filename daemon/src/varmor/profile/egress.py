# SPDX-License-Identifier: Apache-2.0
"""Egress rules as a longest-prefix table: what holds for an address stands at the longest prefix that contains it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

from varmor.profile.types import AllowList, EgressRule

MAX_PORT = 65535
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from ``low`` to ``high``, both included, with what holds for them."""

    low: int
    high: int
    deny: bool
    audit: bool


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """What holds for the addresses of a network for which there is no longer prefix. Ranges are sorted and disjoint."""

    network: Network
    ranges: tuple[PortRange, ...]


@dataclass(slots=True)
class _Change:
    """How the number of rules that deny, record and allow changes at a port."""

    deny: int = 0
    audit: int = 0
    allow: int = 0


def fold(rules: Iterable[EgressRule], allow: AllowList | None = None) -> tuple[NetworkEntry, ...]:
    """The table of some rules: every prefix that a rule names, with the union of all rules that contain it.

    With an allow-list, what it does not name is refused or recorded, too: then there are entries for all addresses.
    """
    by_network: dict[Network, list[EgressRule]] = {}
    allowed: dict[Network, list[EgressRule]] = {}
    _sort_in(by_network, rules)
    if allow is not None and (allow.deny or allow.audit):
        _sort_in(allowed, allow.egress)
        for network in (*_EVERYWHERE, *allowed):
            by_network.setdefault(network, [])
    else:
        allow = None
    lengths = {
        version: sorted({network.prefixlen for network in by_network if network.version == version})
        for version in (4, 6)
    }
    entries = []
    for network in sorted(by_network, key=lambda item: (item.version, item.prefixlen, item.network_address.packed)):
        found: list[EgressRule] = []
        passing: list[EgressRule] = []
        for length in lengths[network.version]:
            if length <= network.prefixlen:
                containing = network.supernet(new_prefix=length)
                found += by_network.get(containing, [])
                passing += allowed.get(containing, [])
        entries.append(NetworkEntry(network, _fold_ports(found, passing, allow)))
    return tuple(entries)


def _sort_in(by_network: dict[Network, list[EgressRule]], rules: Iterable[EgressRule]) -> None:
    for rule in rules:
        for network in _EVERYWHERE if rule.network is None else (rule.network,):
            by_network.setdefault(network, []).append(rule)


def _fold_ports(
    rules: Sequence[EgressRule], passing: Sequence[EgressRule], allow: AllowList | None
) -> tuple[PortRange, ...]:
    """One sweep over the ports: how many rules deny, record or allow changes only at the ends of their ranges."""
    changes: dict[int, _Change] = {}
    if allow is not None:
        changes = {0: _Change(), MAX_PORT + 1: _Change()}
    for rule in rules:
        for port, step in _ends(rule):
            change = changes.setdefault(port, _Change())
            change.deny += step if rule.deny else 0
            change.audit += step if rule.audit else 0
    for rule in passing:
        for port, step in _ends(rule):
            changes.setdefault(port, _Change()).allow += step
    out: list[PortRange] = []
    now = _Change()
    for low, after in pairwise(sorted(changes)):
        change = changes[low]
        now = _Change(now.deny + change.deny, now.audit + change.audit, now.allow + change.allow)
        left_out = allow is not None and now.allow == 0
        deny = now.deny > 0 or (left_out and allow is not None and allow.deny)
        audit = now.audit > 0 or (left_out and allow is not None and allow.audit)
        if not deny and not audit:
            continue
        if out and (out[-1].high + 1, out[-1].deny, out[-1].audit) == (low, deny, audit):
            out[-1] = PortRange(out[-1].low, after - 1, deny, audit)
        else:
            out.append(PortRange(low, after - 1, deny, audit))
    return tuple(out)


def _ends(rule: EgressRule) -> Iterator[tuple[int, int]]:
    for low, high in rule.ports or ((0, MAX_PORT),):
        yield low, 1
        yield high + 1, -1

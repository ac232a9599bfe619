# SPDX-License-Identifier: Apache-2.0
"""Egress rules as a longest-prefix table: what holds for an address stands at the longest prefix that contains it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

from varmor.profile.types import EgressRule

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


def fold(rules: Iterable[EgressRule]) -> tuple[NetworkEntry, ...]:
    """The table of some rules: every prefix that a rule names, with the union of all rules that contain it."""
    by_network: dict[Network, list[EgressRule]] = {}
    for rule in rules:
        for network in _EVERYWHERE if rule.network is None else (rule.network,):
            by_network.setdefault(network, []).append(rule)
    lengths = {
        version: sorted({network.prefixlen for network in by_network if network.version == version})
        for version in (4, 6)
    }
    entries = []
    for network in sorted(by_network, key=lambda item: (item.version, item.prefixlen, item.network_address.packed)):
        found: list[EgressRule] = []
        for length in lengths[network.version]:
            if length <= network.prefixlen:
                found += by_network.get(network.supernet(new_prefix=length), [])
        entries.append(NetworkEntry(network, _fold_ports(found)))
    return tuple(entries)


def _fold_ports(rules: Sequence[EgressRule]) -> tuple[PortRange, ...]:
    """One sweep over the ports: how many rules deny, and how many record, changes only at the ends of their ranges."""
    changes: dict[int, list[int]] = {}
    for rule in rules:
        for low, high in rule.ports or ((0, MAX_PORT),):
            for port, step in ((low, 1), (high + 1, -1)):
                change = changes.setdefault(port, [0, 0])
                change[0] += step if rule.deny else 0
                change[1] += step if rule.audit else 0
    out: list[PortRange] = []
    denying = recording = 0
    for low, after in pairwise(sorted(changes)):
        denying += changes[low][0]
        recording += changes[low][1]
        deny, audit = denying > 0, recording > 0
        if not deny and not audit:
            continue
        if out and (out[-1].high + 1, out[-1].deny, out[-1].audit) == (low, deny, audit):
            out[-1] = PortRange(out[-1].low, after - 1, deny, audit)
        else:
            out.append(PortRange(low, after - 1, deny, audit))
    return tuple(out)

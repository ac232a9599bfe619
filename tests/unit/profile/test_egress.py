# SPDX-License-Identifier: Apache-2.0
"""Folding of egress rules, against a plain evaluation of all rules."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from varmor.profile.egress import NetworkEntry, PortRange, fold
from varmor.profile.types import AllowList, EgressRule


def _rule(network: str | None, *ports: tuple[int, int], deny: bool = True, audit: bool = False) -> EgressRule:
    return EgressRule(None if network is None else ip_network(network), ports, deny, audit, "test")


def _look_up(entries: tuple[NetworkEntry, ...], address: str, port: int) -> tuple[bool, bool]:
    """What the kernel does: the longest prefix, then the range."""
    target = ip_address(address)
    containing = [entry for entry in entries if entry.network.version == target.version and target in entry.network]
    if not containing:
        return (False, False)
    best = max(containing, key=lambda entry: entry.network.prefixlen)
    for span in best.ranges:
        if span.low <= port <= span.high:
            return (span.deny, span.audit)
    return (False, False)


def _plain(rules: list[EgressRule], address: str, port: int) -> tuple[bool, bool]:
    target = ip_address(address)
    deny = audit = False
    for rule in rules:
        if rule.network is not None and (rule.network.version != target.version or target not in rule.network):
            continue
        if rule.ports and not any(low <= port <= high for low, high in rule.ports):
            continue
        deny, audit = deny or rule.deny, audit or rule.audit
    return (deny, audit)


_networks = st.sampled_from(
    (None, "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "::/0", "fd00::/8", "fd00::1/128")
)
_span = st.tuples(st.integers(0, 12), st.integers(0, 4)).map(lambda item: (item[0], item[0] + item[1]))
_rules = st.lists(
    st.builds(
        lambda network, ports, deny, audit: _rule(network, *ports, deny=deny, audit=audit),
        _networks,
        st.lists(_span, max_size=3),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(rules=_rules)
def test_longest_prefix_says_what_all_rules_say(rules: list[EgressRule]) -> None:
    entries = fold(rules)
    for address in ("10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.1", "fd00::1", "fd00::2", "2001:db8::1"):
        for port in (0, 1, 5, 12, 16, 17, 65535):
            assert _look_up(entries, address, port) == _plain(rules, address, port)


@settings(max_examples=100, deadline=None)
@given(rules=_rules)
def test_ranges_are_sorted_disjoint_and_joined(rules: list[EgressRule]) -> None:
    for entry in fold(rules):
        for first, second in zip(entry.ranges, entry.ranges[1:], strict=False):
            assert first.high < second.low
            assert first.high + 1 < second.low or (first.deny, first.audit) != (second.deny, second.audit)


def test_any_network_stands_in_both_families() -> None:
    entries = fold([_rule(None, (80, 80))])
    assert [str(entry.network) for entry in entries] == ["0.0.0.0/0", "::/0"]
    assert entries[0].ranges == (PortRange(80, 80, deny=True, audit=False),)


def test_many_ports_are_folded_quickly() -> None:
    rules = [_rule("10.0.0.0/8", *((port, port) for port in range(1, 60001, 2)))]
    assert len(fold(rules)[0].ranges) == 30000


def test_the_last_port() -> None:
    (entry,) = fold([_rule("10.0.0.1/32", (65535, 65535))])
    assert entry.ranges == (PortRange(65535, 65535, deny=True, audit=False),)


@settings(max_examples=300, deadline=None)
@given(rules=_rules, allowed=_rules, deny=st.booleans(), audit=st.booleans())
def test_allow_list_refuses_what_it_does_not_name(
    rules: list[EgressRule], allowed: list[EgressRule], deny: bool, audit: bool
) -> None:
    allowed = [replace(rule, deny=True, audit=False) for rule in allowed]
    entries = fold(rules, AllowList(deny=deny, audit=audit, egress=tuple(allowed)))
    for address in ("10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.1", "fd00::1", "fd00::2", "2001:db8::1"):
        for port in (0, 1, 5, 12, 16, 17, 65535):
            denied, recorded = _plain(rules, address, port)
            passing, _ = _plain(allowed, address, port)
            expected = (denied or (deny and not passing), recorded or (audit and not passing))
            assert _look_up(entries, address, port) == expected

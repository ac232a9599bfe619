# SPDX-License-Identifier: Apache-2.0
"""Short spellings of rules for the tests."""

from __future__ import annotations

from ipaddress import ip_network

from varmor.profile.types import Access, CapabilityRule, EgressRule, MountRule, PathRule

WRITE = Access.WRITE | Access.APPEND
ALL = Access.READ | WRITE


def path(pattern: str, access: Access, *, deny: bool = True, audit: bool = True) -> PathRule:
    """A path rule."""
    return PathRule(pattern, access, deny=deny, audit=audit, origin="test")


def egress(network: str | None, *ports: tuple[int, int], deny: bool = True, audit: bool = True) -> EgressRule:
    """An egress rule."""
    return EgressRule(None if network is None else ip_network(network), ports, deny=deny, audit=audit, origin="test")


def mount(
    source: str = "**",
    fstype: str = "*",
    flags: int = 0xFFFFFFFF,
    reverse: int = 0xFFFFFFFF,
    target: str = "**",
    *,
    deny: bool = True,
) -> MountRule:
    """A mount rule that records."""
    return MountRule(source, fstype, flags, reverse, deny=deny, audit=True, origin="test", target=target)


def capability(*numbers: int, deny: bool = True, audit: bool = True) -> CapabilityRule:
    """A capability rule."""
    return CapabilityRule(sum(1 << number for number in numbers), deny=deny, audit=audit, origin="test")

# SPDX-License-Identifier: Apache-2.0
"""Kubernetes services as addresses, from what a node knows of its cluster."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from varmor.policy.match import selects
from varmor.policy.types import ServiceDestination
from varmor.profile.types import NodeFacts, ServiceEndpoints

Endpoint = tuple[IPv4Network | IPv6Network, tuple[tuple[int, int], ...]]


def named_endpoints(facts: NodeFacts, name: str) -> tuple[Endpoint, ...]:
    """Where the service ``namespace/name`` can be reached; empty when the node does not know it."""
    return tuple(
        address
        for service in facts.services
        if f"{service.namespace}/{service.name}" == name
        for address in service.addresses
    )


def endpoints(facts: NodeFacts, wanted: ServiceDestination) -> tuple[Endpoint, ...]:
    """Where the services that ``wanted`` means can be reached; empty when the node knows none of them."""
    found = (address for service in facts.services if _is_meant(service, wanted) for address in service.addresses)
    return tuple(dict.fromkeys(found))


def _is_meant(service: ServiceEndpoints, wanted: ServiceDestination) -> bool:
    if wanted.namespace and service.namespace != wanted.namespace:
        return False
    if wanted.selector is not None:
        return selects(wanted.selector, dict(service.labels))
    return service.name == wanted.name

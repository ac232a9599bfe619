# SPDX-License-Identifier: Apache-2.0
"""The setting ``services``: Kubernetes services that policies may name, with their addresses.

A node alone cannot ask the cluster for them. An entry is ``{namespace, name, labels, addresses}``; an address is an IP
address, a network, or ``{ip, cidr, ports}`` with ports as in policies (``[{port: 443}, {port: 8000, endPort: 8100}]``).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from varmor.errors import VarmorError
from varmor.profile.types import ServiceEndpoints

_MAX_PORT = 65535

Address = tuple[IPv4Network | IPv6Network, tuple[tuple[int, int], ...]]


class ServicesError(VarmorError):
    """The list of services cannot be used."""


def read_services(value: object) -> tuple[ServiceEndpoints, ...]:
    """The services of the setting's value.

    Raises:
        ServicesError: an entry that is none; the message names it.
    """
    return tuple(_service(entry, f"services[{index}]") for index, entry in enumerate(_list(value, "services")))


def _service(entry: object, place: str) -> ServiceEndpoints:
    fields = _mapping(entry, place, {"namespace", "name", "labels", "addresses"})
    labels = _mapping(fields.get("labels", {}), f"{place}.labels", None)
    addresses = _list(fields.get("addresses"), f"{place}.addresses")
    if not addresses:
        raise ServicesError(f"{place}.addresses is empty; expected the addresses of the service")
    return ServiceEndpoints(
        namespace=_text(fields.get("namespace"), f"{place}.namespace"),
        name=_text(fields.get("name"), f"{place}.name"),
        addresses=tuple(_address(item, f"{place}.addresses[{index}]") for index, item in enumerate(addresses)),
        labels=tuple(sorted((name, _text(text, f"{place}.labels.{name}")) for name, text in labels.items())),
    )


def _address(item: object, place: str) -> Address:
    fields = {"cidr": item} if isinstance(item, str) else _mapping(item, place, {"ip", "cidr", "ports"})
    if ("ip" in fields) == ("cidr" in fields):
        raise ServicesError(f"{place} is {item!r}; expected either ip or cidr")
    word = _text(fields.get("ip", fields.get("cidr")), place)
    try:
        network = ip_network(word)
    except ValueError as error:
        raise ServicesError(f"{place} is {word!r}; expected an IP address or a network without host bits") from error
    if "ip" in fields and network.num_addresses != 1:
        raise ServicesError(f"{place}.ip is {word!r}; expected one address (for networks use cidr)")
    ports = _list(fields.get("ports", []), f"{place}.ports")
    return network, tuple(_ports(port, f"{place}.ports[{index}]") for index, port in enumerate(ports))


def _ports(item: object, place: str) -> tuple[int, int]:
    fields = {"port": item} if isinstance(item, int) else _mapping(item, place, {"port", "endPort"})
    low = _port(fields.get("port"), f"{place}.port", 1)
    return low, _port(fields.get("endPort", low), f"{place}.endPort", low)


def _port(value: object, place: str, lowest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= _MAX_PORT:
        raise ServicesError(f"{place} is {value!r}; expected a number from {lowest} to {_MAX_PORT}")
    return value


def _list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise ServicesError(f"{place} is {value!r}; expected a list")
    return value


def _mapping(value: object, place: str, known: set[str] | None) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ServicesError(f"{place} is {value!r}; expected a mapping")
    unknown = sorted(str(name) for name in value if known is not None and name not in known)
    if unknown and known is not None:
        raise ServicesError(f"{place} has the unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return {str(name): item for name, item in value.items()}


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise ServicesError(f"{place} is {value!r}; expected a string")
    return value

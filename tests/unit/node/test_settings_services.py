# SPDX-License-Identifier: Apache-2.0
"""The setting ``services``: every spelling of an address, and one clear error for each wrong one."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from varmor.node.settings import SettingsError, load
from varmor.node.settings_services import ServicesError, read_services
from varmor.profile.types import ServiceEndpoints

API: dict[str, Any] = {"namespace": "default", "name": "kubernetes"}


def test_addresses_in_every_spelling() -> None:
    ports = [443, {"port": 8000, "endPort": 8100}]
    addresses = ["10.96.0.1", "10.0.0.0/8", {"ip": "fd00::1"}, {"cidr": "192.0.2.0/24", "ports": ports}]
    assert read_services([{**API, "labels": {"b": "2", "a": "1"}, "addresses": addresses}]) == (
        ServiceEndpoints(
            "default",
            "kubernetes",
            (
                (ip_network("10.96.0.1/32"), ()),
                (ip_network("10.0.0.0/8"), ()),
                (ip_network("fd00::1/128"), ()),
                (ip_network("192.0.2.0/24"), ((443, 443), (8000, 8100))),
            ),
            (("a", "1"), ("b", "2")),
        ),
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", "services is 'x'; expected a list"),
        (["x"], "services[0] is 'x'; expected a mapping"),
        ([{**API, "adresses": []}], "services[0] has the unknown field 'adresses'; known are addresses, labels"),
        ([API], "services[0].addresses is None; expected a list"),
        ([{**API, "addresses": []}], "services[0].addresses is empty"),
        ([{"name": "x", "addresses": ["::1"]}], "services[0].namespace is None; expected a string"),
        ([{**API, "addresses": ["10.0.0.1/8"]}], "'10.0.0.1/8'; expected an IP address or a network without host bits"),
        ([{**API, "addresses": [{"ip": "10.0.0.0/8"}]}], "addresses[0].ip is '10.0.0.0/8'; expected one address"),
        ([{**API, "addresses": [{"ports": [1]}]}], "expected either ip or cidr"),
        ([{**API, "addresses": [{"ip": "::1", "cidr": "::/0"}]}], "expected either ip or cidr"),
        (
            [{**API, "addresses": [{"ip": "::1", "ports": [0]}]}],
            "ports[0].port is 0; expected a number from 1 to 65535",
        ),
        ([{**API, "addresses": [{"ip": "::1", "ports": [True]}]}], "ports[0].port is True"),
        (
            [{**API, "addresses": [{"ip": "::1", "ports": [{"port": 9, "endPort": 8}]}]}],
            "ports[0].endPort is 8; expected a number from 9 to 65535",
        ),
        ([{**API, "labels": ["x"], "addresses": ["::1"]}], "services[0].labels is ['x']; expected a mapping"),
        ([{**API, "labels": {"a": 1}, "addresses": ["::1"]}], "services[0].labels.a is 1; expected a string"),
    ],
)
def test_refused(value: object, words: str) -> None:
    with pytest.raises(ServicesError) as caught:
        read_services(value)
    assert words in str(caught.value)


def test_they_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "varmord.yaml"
    path.write_text(yaml.safe_dump({"services": [{**API, "addresses": ["10.96.0.1"]}]}))
    assert [service.name for service in load(path).services] == ["kubernetes"]
    path.write_text("services: [x]\n")
    with pytest.raises(SettingsError, match=r"varmord\.yaml: services\[0\] is 'x'"):
        load(path)

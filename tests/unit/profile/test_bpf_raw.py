# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import profile
from varmor.errors import PolicyError
from varmor.profile.types import Access, BpfProfile

WRITE = Access.WRITE | Access.APPEND


def _bpf(rules: dict[str, Any]) -> BpfProfile:
    made = profile(enforcer="BPF", privileged=True, bpfRawRules=rules).bpf
    assert made is not None
    return made


def _file(**changes: Any) -> dict[str, Any]:
    return {"files": [{"qualifiers": ["deny"], "pattern": "/x", "permissions": ["read"], **changes}]}


def _to(**values: Any) -> dict[str, Any]:
    return {"network": {"egress": {"toDestinations": [{"qualifiers": ["deny"], **values}]}}}


@pytest.mark.parametrize(
    ("words", "access"),
    [
        (["r"], Access.READ),
        (["Write"], WRITE),
        (["append"], Access.APPEND),
        (["x"], Access.EXEC),
        (["read", "exec"], Access.READ | Access.EXEC),
        (["all"], Access.READ | WRITE | Access.EXEC),
        (["*"], Access.READ | WRITE | Access.EXEC),
    ],
)
@pytest.mark.parametrize("part", ["files", "processes"])
def test_permissions(words: list[str], access: Access, part: str) -> None:
    made = _bpf({part: [{"qualifiers": ["deny"], "pattern": "/x", "permissions": words}]})
    assert [rule.access for rule in made.paths] == [access]
    assert made.paths[0].origin == f"bpfRawRules.{part}[0]"


def test_qualifiers_and_pattern() -> None:
    (rule,) = _bpf(_file(qualifiers=["AUDIT"], pattern="*.key")).paths
    assert (rule.deny, rule.audit, rule.pattern) == (False, True, "/{,**/}*.key")


@pytest.mark.parametrize(
    ("values", "networks"),
    [
        ({"ip": "10.0.0.1"}, ["10.0.0.1/32"]),
        ({"ip": "::ffff:10.0.0.1"}, ["10.0.0.1/32"]),
        ({"ip": "fe80::1"}, ["fe80::1/128"]),
        ({"ip": "LOCALHOST"}, ["127.0.0.0/8", "::1/128"]),
        ({"ip": "unspecified"}, ["0.0.0.0/32", "::/128"]),
        ({"cidr": "10.0.0.0/8"}, ["10.0.0.0/8"]),
        ({"cidr": "0.0.0.0/0"}, ["0.0.0.0/0"]),
        ({"cidr": "::ffff:10.0.0.0/104"}, ["10.0.0.0/8"]),
        ({"cidr": "::/0"}, ["::/0"]),
        ({"ports": [{"port": 25}]}, ["None"]),
    ],
)
def test_networks(values: dict[str, Any], networks: list[str]) -> None:
    assert [str(rule.network) for rule in _bpf(_to(**values)).egress] == networks


def test_ports() -> None:
    ports = [{"port": 80}, {"port": 8000, "endPort": 8100}, {"port": 80, "endPort": 80}]
    assert _bpf(_to(ip="1.2.3.4", ports=ports)).egress[0].ports == ((80, 80), (8000, 8100))


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        (_file(qualifiers=["allow"]), "files[0].qualifiers[0]", "what no rule denies is allowed anyway"),
        (_file(qualifiers=["denny"]), "files[0].qualifiers[0]", "did you mean 'deny'?"),
        (_file(permissions=["execute"]), "files[0].permissions[0]", "unknown permission 'execute'"),
        (_file(pattern="etc/x"), "files[0].pattern", "is relative"),
        (_to(), "network.egress.toDestinations[0]", "expected ip, cidr or ports, found none"),
        (_to(ip="1.2.3.4", cidr="1.2.3.0/24"), "network.egress.toDestinations[0]", "found both"),
        (_to(ip="1.2.3.4.5"), "network.egress.toDestinations[0].ip", "is no IP address"),
        (_to(ip="10.0.0.0/8"), "network.egress.toDestinations[0].ip", "for networks use cidr"),
        (_to(ip="fe80::1%eth0"), "network.egress.toDestinations[0].ip", "leave out the % part"),
        (_to(ip="pod-self"), "network.egress.toDestinations[0].ip", "'pod-self' is not built yet"),
        (
            _to(cidr="10.0.0.1/8"),
            "network.egress.toDestinations[0].cidr",
            "has host bits set; the network is 10.0.0.0/8",
        ),
        (_to(cidr="10.0.0.1"), "network.egress.toDestinations[0].cidr", "has no prefix length"),
        (_to(cidr="ten/8"), "network.egress.toDestinations[0].cidr", "is no network"),
        (_to(ip="1.2.3.4", qualifiers=["x"]), "network.egress.toDestinations[0].qualifiers[0]", "unknown qualifier"),
    ],
)
def test_refused(rules: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _bpf(rules)
    assert caught.value.field == f"spec.policy.enhanceProtect.bpfRawRules.{field}"
    assert words in caught.value.problem


def test_refused_even_when_bpf_is_not_asked_for() -> None:
    with pytest.raises(PolicyError, match="is relative"):
        profile(enforcer="AppArmor", bpfRawRules=_file(pattern="x"))


@given(st.text(max_size=20))
def test_any_address_is_taken_or_refused(word: str) -> None:
    try:
        _bpf(_to(ip=word, cidr=""))
    except PolicyError:
        return

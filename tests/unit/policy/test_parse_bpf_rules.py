# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import policy
from varmor.errors import PolicyError
from varmor.policy.types import (
    BpfMountRule,
    BpfPathRule,
    BpfPtraceRule,
    BpfRawRules,
    BpfSocketRule,
    Destination,
    LabelSelector,
    PodDestination,
    Port,
    ServiceDestination,
)

LABELS = {"matchLabels": {"app": "db"}}
SELECTOR = LabelSelector((("app", "db"),))


def parsed(**rules: Any) -> BpfRawRules:
    enhance = policy(bpfRawRules=rules).enhance_protect
    assert enhance is not None
    return enhance.bpf_raw_rules


def egress(**lists: Any) -> BpfRawRules:
    return parsed(network={"egress": lists})


def test_nothing() -> None:
    assert parsed() == parsed(network={}) == egress() == BpfRawRules()


def test_paths() -> None:
    rule = {"qualifiers": ["DENY"], "pattern": "/X", "permissions": ["R"]}
    made = BpfPathRule(("deny",), "/X", ("r",))
    assert parsed(files=[rule], processes=[rule]) == BpfRawRules(files=(made,), processes=(made,))


def test_sockets() -> None:
    assert parsed(
        network={
            "sockets": [
                {"qualifiers": ["deny"], "domains": ["INET", "inet6"], "types": ["raw"]},
                {"qualifiers": ["audit"], "protocols": ["icmp"]},
            ]
        }
    ).sockets == (
        BpfSocketRule(("deny",), ("inet", "inet6"), ("raw",)),
        BpfSocketRule(("audit",), protocols=("icmp",)),
    )


def test_destinations() -> None:
    ports = [{"port": 1, "endPort": 9}, {"port": 80, "endPort": 80}, {"port": 81}]
    assert egress(
        toDestinations=[
            {"qualifiers": ["deny"], "ip": "pod-self", "ports": ports},
            {"qualifiers": ["deny"], "cidr": "::/0"},
        ]
    ).egress == (
        Destination(("deny",), ip="pod-self", ports=(Port(1, 9), Port(80, 80), Port(81))),
        Destination(("deny",), cidr="::/0"),
    )


def test_services_and_pods() -> None:
    made = egress(
        toServices=[
            {"qualifiers": ["deny"], "namespace": "default", "name": "kubernetes"},
            {"qualifiers": ["deny"], "serviceSelector": LABELS},
        ],
        toPods=[
            {"qualifiers": ["deny", "audit"], "podSelector": LABELS, "namespace": "a", "ports": [{"port": 5432}]},
            {"qualifiers": ["deny"], "podSelector": {}},
        ],
    )
    assert made.services == (
        ServiceDestination(("deny",), namespace="default", name="kubernetes"),
        ServiceDestination(("deny",), selector=SELECTOR),
    )
    assert made.pods == (
        PodDestination(("deny", "audit"), SELECTOR, "a", (Port(5432),)),
        PodDestination(("deny",), LabelSelector()),
    )


def test_ptrace() -> None:
    rule = {"qualifiers": ["deny"], "permissions": ["Trace", "read"], "strictMode": True}
    assert parsed(ptrace=rule).ptrace == BpfPtraceRule(("deny",), ("trace", "read"), strict_mode=True)


def test_mounts_keep_the_case_of_their_flags() -> None:
    rule = {"qualifiers": ["deny"], "sourcePattern": "/proc**", "fstype": "none", "flags": ["B", "R", "Remount"]}
    assert parsed(mounts=[rule]).mounts == (BpfMountRule(("deny",), "/proc**", "none", ("B", "R", "Remount")),)


def _egress(kind: str, **entry: Any) -> dict[str, Any]:
    return {"network": {"egress": {kind: [{"qualifiers": ["deny"], **entry}]}}}


def _socket(**entry: Any) -> dict[str, Any]:
    return {"network": {"sockets": [{"qualifiers": ["deny"], **entry}]}}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"file": []}, "did you mean 'files'?"),
        ({"files": [{"pattern": "/x", "permissions": ["r"]}]}, "files[0]: the field 'qualifiers' is missing"),
        ({"files": [{"qualifiers": ["deny"], "permissions": ["r"]}]}, "the field 'pattern' is missing"),
        ({"files": [{"qualifiers": ["deny"], "pattern": "/x"}]}, "the field 'permissions' is missing"),
        (
            {"files": [{"qualifiers": ["deny", "Allow"], "pattern": "/x", "permissions": ["r"]}]},
            "files[0].qualifiers: deny and allow contradict each other",
        ),
        ({"files": [{"qualifiers": [], "pattern": "/x", "permissions": ["r"]}]}, "expected at least one element"),
        (
            {"files": [{"qualifiers": ["deny"], "pattern": "/" + "x" * 4095, "permissions": ["r"]}]},
            "4096 characters are more than the 4095",
        ),
        ({"network": {"egresses": []}}, "the field is called 'egress'"),
        ({"network": {"ingress": []}}, "unknown field 'ingress'; expected one of sockets, egress"),
        ({"network": {"egress": {"toDestination": []}}}, "did you mean 'toDestinations'?"),
        (_socket(), "expected domains, types or protocols, found none"),
        (_socket(types=["raw"], protocols=["tcp"]), "expected either types or protocols, found both"),
        (_socket(family=["inet"]), "unknown field 'family'"),
        (_egress("toDestinations"), "expected ip, cidr or ports, found none"),
        (_egress("toDestinations", ip="1.2.3.4", cidr="1.2.3.0/24"), "expected either ip or cidr, found both"),
        (_egress("toDestinations", ports=[{"port": 70000}]), "70000 is out of range; expected 1 to 65535"),
        (_egress("toDestinations", ports=[{"port": 0}]), "0 is out of range"),
        (_egress("toDestinations", ports=[{"port": 9, "endPort": 8}]), "endPort 8 is below port 9"),
        (_egress("toServices"), "needs either name or serviceSelector, found neither"),
        (_egress("toServices", name="a", namespace="b", serviceSelector=LABELS), "found both"),
        (_egress("toServices", name="a"), "the field 'namespace' is missing"),
        (_egress("toServices", serviceSelector={"matchLabels": {"a b": "c"}}), "'a b' is not a label name"),
        (_egress("toPods"), "the field 'podSelector' is missing"),
        (_egress("toPods", selector=LABELS), "did you mean 'podSelector'?"),
        ({"ptrace": {"qualifiers": ["deny"]}}, "the field 'permissions' is missing"),
        ({"ptrace": []}, "expected a mapping, found a list"),
        ({"ptrace": {"qualifiers": ["deny"], "permissions": ["read"], "strict": True}}, "did you mean 'strictMode'?"),
        (
            {"mounts": [{"qualifiers": ["deny"], "sourcePattern": "/x", "flags": ["bind"]}]},
            "the field 'fstype' is missing",
        ),
        (
            {"mounts": [{"qualifiers": ["deny"], "sourcePattern": "/x", "fstype": "none", "flags": []}]},
            "mounts[0].flags: expected at least one element",
        ),
    ],
)
def test_bad_rules(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parsed(**rules)
    assert words in str(caught.value)
    assert caught.value.field.startswith("spec.policy.enhanceProtect.bpfRawRules")

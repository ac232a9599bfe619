# SPDX-License-Identifier: Apache-2.0
"""A real API server refuses by our schema and our rules, in our words, and the parser refuses the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.policies import Policies
from tests.unit.manifests import manifest
from varmor.catalog.loader import load
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts

POLICY, TARGET = "spec.policy", "spec.target"
EGRESS = f"{POLICY}.enhanceProtect.bpfRawRules.network.egress"
SOCKETS = f"{POLICY}.enhanceProtect.bpfRawRules.network.sockets"
DENY = {"qualifiers": ["deny"]}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({f"{POLICY}.mode": "EnhancedProtect"}, 'spec.policy.mode: Unsupported value: "EnhancedProtect"'),
    ({f"{POLICY}.mode": "BehaviorModeling"}, "the mode BehaviorModeling needs the field 'modelingOptions'"),
    ({f"{POLICY}.mode": "DefenseInDepth"}, "the mode DefenseInDepth needs the field 'defenseInDepth'"),
    ({f"{POLICY}.enhanceProtect": ...}, "the mode EnhanceProtect needs the field 'enhanceProtect'"),
    ({f"{POLICY}.modelingOptions": {"duration": 0}}, "should be greater than or equal to 1"),
    ({f"{POLICY}.enforcer": "Armor"}, "enforcer: expected AppArmor, BPF and Seccomp in any combination"),
    ({f"{POLICY}.enforcer": "BPFX"}, "enforcer: expected AppArmor, BPF and Seccomp in any combination"),
    ({f"{POLICY}.enforcer": "BPFNetworkProxy"}, "the enforcer NetworkProxy is not built yet: remove it"),
    ({f"{POLICY}.networkProxyConfig": {"proxyUID": 1}}, "the enforcer NetworkProxy is not built yet: remove it"),
    ({f"{POLICY}.enhanceProtect.networkProxyRawRules": {}}, "the enforcer NetworkProxy is not built yet: remove it"),
    ({f"{POLICY}.enhanceProtect.hardeningRule": []}, 'unknown field "spec.policy.enhanceProtect.hardeningRule"'),
    ({f"{POLICY}.enhanceProtect.hardeningRules": "x"}, "must be of type array"),
    ({f"{POLICY}.enhanceProtect.attackProtectionRules": [{"rules": []}]}, "should have at least 1 items"),
    ({f"{POLICY}.enhanceProtect.privileged": "yes"}, "must be of type boolean"),
    (
        {
            f"{POLICY}.mode": "DefenseInDepth",
            f"{POLICY}.defenseInDepth": {"appArmor": {"profileType": "BehaviorModel"}},
        },
        "defenseInDepth: the field 'bpf' is missing: the policy's enforcer BPF has no profile",
    ),
    (
        {f"{POLICY}.defenseInDepth": {"appArmor": {"profileType": "Custom"}}},
        "profileType Custom needs the field 'customProfile'",
    ),
    ({EGRESS: {"toDestinations": [DENY]}}, "expected ip, cidr or ports, found none of them"),
    ({EGRESS: {"toDestinations": [{**DENY, "ip": "1.2.3.4", "cidr": "1.2.3.0/24"}]}}, "expected either ip or cidr"),
    ({EGRESS: {"toDestinations": [{**DENY, "ports": [{"port": 9, "endPort": 8}]}]}}, "endPort is below port"),
    ({EGRESS: {"toDestinations": [{**DENY, "ports": [{"port": 65536}]}]}}, "should be less than or equal to 65535"),
    ({EGRESS: {"toServices": [DENY]}}, "a service needs either name or serviceSelector"),
    ({EGRESS: {"toServices": [{**DENY, "name": "x"}]}}, "the field 'namespace' is missing"),
    ({EGRESS: {"toPods": [DENY]}}, "podSelector: Required value"),
    ({SOCKETS: [{**DENY, "domains": ["inet7"]}]}, "domains[0] in body should match"),
    ({SOCKETS: [DENY]}, "expected domains, types or protocols, found none of them"),
    ({SOCKETS: [{**DENY, "types": ["raw"], "protocols": ["tcp"]}]}, "expected either types or protocols"),
    ({TARGET: {"kind": "Job", "name": "x"}}, 'spec.target.kind: Unsupported value: "Job"'),
    ({TARGET: {"kind": "Container"}}, "needs at least one of name, image and selector"),
    ({TARGET: {"kind": "Container", "name": "a", "containers": ["b"]}}, "names containers by 'name'"),
    (
        {TARGET: {"kind": "Unit", "name": "a.service", "image": "x"}},
        "a target of kind Unit is chosen by its name alone",
    ),
    ({TARGET: {"kind": "Pod"}}, "a target of this kind needs either name or selector"),
    ({TARGET: {"kind": "Pod", "name": "x", "selector": {"matchLabels": {"a": "b"}}}}, "needs either name or selector"),
    ({TARGET: {"kind": "Pod", "name": "x", "image": "y"}}, "is not chosen by image: use kind Container"),
    ({TARGET: {"kind": "Pod", "selector": {}}}, "an empty selector would match everything"),
    ({"metadata.name": "x" * 55}, "the name is too long"),
]


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The small manifest with fields set, or removed for the value ``...``."""
    document = manifest()
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = document
        for part in parents:
            place = place.setdefault(part, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return document


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_refused(changes: dict[str, Any], words: str, policies: Policies) -> None:
    document = changed(changes)
    reply = policies.create(document)
    assert reply.status in (400, 422)
    assert words in reply.message
    with pytest.raises(PolicyError):
        compile_policy(parse_object(document, "here"), load(), NodeFacts())


def test_a_small_change_of_each_is_accepted(policies: Policies) -> None:
    reply = policies.create(manifest())
    assert reply.accepted, reply.message


def test_names_of_cluster_policies(policies: Policies) -> None:
    fits = manifest(kind="VarmorClusterPolicy", metadata={"name": "x" * 41})
    assert policies.create(fits, dry=True).accepted
    parse_object(fits, "here")
    too_long = manifest(kind="VarmorClusterPolicy", metadata={"name": "x" * 42})
    assert "the name is too long" in policies.create(too_long, dry=True).message
    with pytest.raises(PolicyError, match="at most 63"):
        parse_object(too_long, "here")

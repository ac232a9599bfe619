# SPDX-License-Identifier: Apache-2.0
"""What does nothing is said, once, with its field."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from tests.unit.manifests import defense, profile
from varmor.policy.types import Enforcer
from varmor.profile.types import NodeFacts, Profile, ServiceEndpoints

RULES = "spec.policy.enhanceProtect"


def _fields(made: Profile, words: str) -> list[str]:
    return [note.field for note in made.no_effect if words in note.message]


def test_a_service_that_the_node_does_not_know() -> None:
    groups = [{"rules": ["block-access-to-kube-apiserver"]}]
    made = profile(enforcer="BPF", attackProtectionRules=groups)
    assert _fields(made, "needs the addresses of the service") == [f"{RULES}.attackProtectionRules[0].rules[0]"]
    known = ServiceEndpoints("default", "kubernetes", ((ip_network("10.96.0.1/32"), ()),))
    made = profile(NodeFacts(services=(known,)), enforcer="BPF", attackProtectionRules=groups)
    assert made.no_effect == ()
    assert made.bpf is not None
    assert [str(rule.network) for rule in made.bpf.egress] == ["10.96.0.1/32"]


def test_repeated_entries_are_told_here_too() -> None:
    made = profile(enforcer="BPF", hardeningRules=["disallow-mount", "DISALLOW_MOUNT"])
    assert _fields(made, "repeats") == [f"{RULES}.hardeningRules[1]"]


def test_a_part_whose_enforcer_is_not_chosen() -> None:
    text = "profile x { file, }"
    made = defense(
        "BPF",
        bpf={"profileType": "Custom", "customProfile": {}},
        appArmor={"profileType": "Custom", "customProfile": text},
    )
    assert _fields(made, "AppArmor is not among the policy's enforcers") == ["spec.policy.defenseInDepth.appArmor"]


@pytest.mark.parametrize("mode", ["AlwaysAllow", "RuntimeDefault", "EnhanceProtect"])
def test_a_missing_enforcer_in_every_mode(mode: str) -> None:
    made = profile(NodeFacts(enforcers=Enforcer.APPARMOR), mode=mode, enforcer="AppArmorBPF")
    assert _fields(made, "BPF is not available on this node") == ["spec.policy.enforcer"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "RuntimeDefault", "enforcer": "Seccomp"}, "the runtime's own filter stays in place"),
        ({"mode": "AlwaysAllow", "enforcer": "Seccomp"}, "the runtime's own filter stays in place"),
        (
            {"mode": "RuntimeDefault", "enforcer": "Seccomp", "target": {"kind": "Unit", "name": "a.service"}},
            "the unit's own settings stay in place",
        ),
    ],
)
def test_seccomp_without_work(values: dict[str, Any], words: str) -> None:
    assert _fields(profile(**values), words) == ["spec.policy.enforcer"]


def test_custom_rules_refuse_while_profiles_are_observed() -> None:
    parts: dict[str, Any] = {
        "bpf": {
            "profileType": "Custom",
            "customProfile": {},
            "bpfRawRules": {"files": [{"qualifiers": ["deny"], "pattern": "/x", "permissions": ["read"]}]},
        },
        "seccomp": {
            "profileType": "Custom",
            "customProfile": '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}',
            "syscallRawRules": [{"names": ["keyctl"], "action": "SCMP_ACT_ERRNO"}],
        },
    }
    still = "they still deny"
    assert _fields(defense("BPFSeccomp", **parts), still) == []
    assert sorted(_fields(defense("BPFSeccomp", allowViolations=True, **parts), still)) == [
        "spec.policy.defenseInDepth.bpf.bpfRawRules",
        "spec.policy.defenseInDepth.seccomp.syscallRawRules",
    ]


def test_a_rule_of_ones_own_that_lets_pass_what_is_refused_otherwise() -> None:
    raw = {"files": [{"qualifiers": ["audit"], "pattern": "/proc/kcore", "permissions": ["read"]}]}
    (note,) = profile(enforcer="BPF", bpfRawRules=raw).no_effect
    assert note.message == (
        "is to let pass and record what runtime-default refuses: it stays refused; "
        "to record refusals set auditViolations"
    )

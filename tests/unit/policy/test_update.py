# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import manifest
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.policy.status import Phase
from varmor.policy.types import Policy
from varmor.policy.update import check_update, refusals

MODEL = {"profileType": "BehaviorModel"}


def made(mode: str = "EnhanceProtect", **values: Any) -> Policy:
    document = manifest(mode=mode, **values)
    if mode == "BehaviorModeling":
        document["spec"]["policy"]["modelingOptions"] = {"duration": 10}
    if mode == "DefenseInDepth":
        document["spec"]["policy"]["defenseInDepth"] = {"appArmor": MODEL, "seccomp": MODEL, "bpf": MODEL}
    return parse_object(document, "m.yaml")


@pytest.mark.parametrize(
    ("old", "new", "phase"),
    [
        ({}, {}, Phase.PROTECTING),
        ({}, {"hardeningRules": ["disallow-mount"]}, Phase.PROTECTING),
        ({}, {"mode": "AlwaysAllow"}, Phase.PROTECTING),
        ({"enforcer": "AppArmor"}, {"enforcer": "AppArmorBPFSeccomp"}, Phase.PROTECTING),
        ({"enforcer": "AppArmorBPF"}, {"enforcer": "AppArmor"}, Phase.PROTECTING),
        ({"enforcer": "AppArmorBPF"}, {"enforcer": "bpfapparmor"}, Phase.MODELING),
        ({"mode": "BehaviorModeling"}, {"mode": "DefenseInDepth"}, Phase.COMPLETED),
        ({"mode": "BehaviorModeling"}, {"mode": "BehaviorModeling"}, Phase.MODELING),
        ({"mode": "BehaviorModeling", "enforcer": "BPF"}, {"mode": "RuntimeDefault"}, Phase.COMPLETED),
    ],
)
def test_possible(old: dict[str, Any], new: dict[str, Any], phase: Phase) -> None:
    check_update(made(**old), made(**new), phase)


@pytest.mark.parametrize(
    ("old", "new", "phase", "field", "words"),
    [
        (
            {},
            {"target": {"kind": "Container", "name": "other"}},
            Phase.PROTECTING,
            "spec.target",
            "it was kind: Container, name: web: delete the policy and make a new one",
        ),
        (
            {"mode": "BehaviorModeling"},
            {"mode": "DefenseInDepth"},
            Phase.MODELING,
            "spec.policy.mode",
            "cannot be changed from BehaviorModeling to DefenseInDepth while behaviour is modelled",
        ),
        (
            {"mode": "BehaviorModeling", "enforcer": "AppArmor"},
            {"mode": "BehaviorModeling", "enforcer": "AppArmorBPF"},
            Phase.MODELING,
            "spec.policy.enforcer",
            "from AppArmor to AppArmor and BPF while behaviour is modelled",
        ),
        (
            {"enforcer": "AppArmorSeccomp"},
            {"enforcer": "Seccomp"},
            Phase.PROTECTING,
            "spec.policy.enforcer",
            "AppArmor cannot be removed from a policy in force",
        ),
        (
            {"enforcer": "AppArmorSeccomp"},
            {"enforcer": "AppArmorBPF"},
            Phase.ERROR,
            "spec.policy.enforcer",
            "Seccomp cannot be removed",
        ),
        (
            {"enforcer": "AppArmorBPF"},
            {"enforcer": "AppArmorSeccomp"},
            Phase.PROTECTING,
            "spec.policy.enforcer",
            "BPF cannot be removed in the same update that adds Seccomp: make two updates",
        ),
        (
            {},
            {"metadata": {"name": "b"}},
            Phase.PROTECTING,
            "metadata.name",
            "another object than VarmorPolicy default/web",
        ),
        ({}, {"kind": "VarmorClusterPolicy"}, Phase.PROTECTING, "metadata.name", "another object"),
    ],
)
def test_not_possible(old: dict[str, Any], new: dict[str, Any], phase: Phase, field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check_update(made(**old), made(**new), phase)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_phase_may_come_with_the_manifest() -> None:
    document = made("BehaviorModeling").manifest
    check_update(parse_object(document, "m"), made())
    old = parse_object({**document, "status": {"phase": "Modeling"}}, "m")
    with pytest.raises(PolicyError, match="while behaviour is modelled"):
        check_update(old, made())
    check_update(old, made(), Phase.COMPLETED)


def test_all_faults_can_be_had() -> None:
    old = made("BehaviorModeling", enforcer="AppArmor")
    new = made(enforcer="BPF", target={"kind": "Unit", "name": "a.service"})
    assert [error.field for error in refusals(old, new, Phase.MODELING)] == [
        "spec.target",
        "spec.policy.mode",
        "spec.policy.enforcer",
        "spec.policy.enforcer",
    ]

# SPDX-License-Identifier: Apache-2.0
"""A real API server refuses the updates that :mod:`varmor.policy.update` refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.policies import Policies
from tests.unit.manifests import manifest
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.policy.update import check_update

_MODEL = {"profileType": "BehaviorModel"}


def made(mode: str = "RuntimeDefault", **values: Any) -> dict[str, Any]:
    document = manifest(mode=mode, **values)
    document["spec"]["policy"] |= {
        "modelingOptions": {"duration": 10},
        "defenseInDepth": {"appArmor": _MODEL, "seccomp": _MODEL, "bpf": _MODEL},
    }
    return document


def status(phase: str) -> dict[str, Any]:
    return {"profileName": "x", "ready": False, "phase": phase}


POSSIBLE = [
    ({"enforcer": "AppArmor"}, {"enforcer": "AppArmorBPF"}, "Protecting"),
    ({"enforcer": "AppArmorBPF"}, {"enforcer": "AppArmor"}, "Protecting"),
    ({"enforcer": "AppArmorBPF"}, {"enforcer": "bpfapparmor"}, "Modeling"),
    ({"mode": "BehaviorModeling"}, {"mode": "DefenseInDepth"}, "Completed"),
    ({}, {"mode": "AlwaysAllow"}, "Error"),
]
REFUSED = [
    ({}, {"target": {"kind": "Container", "name": "other"}}, "Protecting", "the target of a policy cannot be changed"),
    (
        {"mode": "BehaviorModeling"},
        {"mode": "DefenseInDepth"},
        "Modeling",
        "the mode cannot be changed while behaviour",
    ),
    (
        {"enforcer": "AppArmor"},
        {"enforcer": "AppArmorBPF"},
        "Modeling",
        "the enforcer cannot be changed while behaviour",
    ),
    ({"enforcer": "AppArmorSeccomp"}, {"enforcer": "Seccomp"}, "Protecting", "AppArmor and Seccomp cannot be removed"),
    ({"enforcer": "BPFSeccomp"}, {"enforcer": "BPF"}, "Completed", "AppArmor and Seccomp cannot be removed"),
    (
        {"enforcer": "AppArmorBPF"},
        {"enforcer": "AppArmorSeccomp"},
        "Protecting",
        "BPF cannot be removed in the same update that adds another",
    ),
]


@pytest.mark.parametrize(("old", "new", "phase"), POSSIBLE)
def test_possible(old: dict[str, Any], new: dict[str, Any], phase: str, policies: Policies) -> None:
    assert policies.create(made(**old)).accepted
    assert policies.replace({**made(**old), "status": status(phase)}, part="status").accepted
    reply = policies.replace(made(**new))
    assert reply.accepted, reply.message
    check_update(parse_object(made(**old), "old"), parse_object(made(**new), "new"), phase)


@pytest.mark.parametrize(("old", "new", "phase", "words"), REFUSED)
def test_refused(old: dict[str, Any], new: dict[str, Any], phase: str, words: str, policies: Policies) -> None:
    assert policies.create(made(**old)).accepted
    assert policies.replace({**made(**old), "status": status(phase)}, part="status").accepted
    reply = policies.replace(made(**new))
    assert reply.status == 422
    assert words in reply.message
    with pytest.raises(PolicyError):
        check_update(parse_object(made(**old), "old"), parse_object(made(**new), "new"), phase)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.test_record import records
from varmor.errors import PolicyError
from varmor.policy.armor_profile import ArmorProfile, ArmorProfileSpec, parse_armor_profile
from varmor.policy.status import ArmorProfileStatus


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "crd.varmor.org/v1beta1",
        "kind": "ArmorProfile",
        "metadata": {"name": "varmor-demo-web", "namespace": "demo", "ownerReferences": []},
        "spec": {
            "target": {"kind": "Deployment", "selector": {"matchLabels": {"app": "web"}}, "containers": ["c"]},
            "profile": {"name": "varmor-demo-web", "enforcer": "AppArmorBPF", "mode": "enforce"},
            **spec,
        },
    }


def test_a_profile_of_vanilla_varmor() -> None:
    pattern = {"flags": 12, "prefix": "/a", "suffix": "b/"}
    profile = {
        "name": "varmor-demo-web",
        "enforcer": "BPF",
        "mode": "complain",
        "appArmor": "profile x {}",
        "seccomp": "{}",
        "bpf": {
            "capabilities": {"mode": 1, "capabilities": 1 << 40},
            "files": [{"mode": 3, "permissions": 14, "pattern": pattern}],
            "processes": [{"mode": 1, "permissions": 1, "pattern": pattern}],
            "networks": [
                {"mode": 1, "flags": 0x200, "socket": {"domains": 1 << 45, "types": 2, "protocols": 4}},
                {"mode": 1, "flags": 0x960, "address": {"cidr": "10.0.0.0/8", "ip": "10.0.0.0", "ports": [1, 2]}},
                {"mode": 1, "flags": 0x440, "address": {"ip": "10.0.0.0", "port": 1, "endPort": 9}},
            ],
            "ptrace": {"mode": 1, "permissions": 6, "flags": 1},
            "mounts": [
                {"mode": 1, "mountFlags": 512, "reverseMountflags": 4294967295, "pattern": pattern, "fstype": "*"}
            ],
        },
    }
    parsed = parse_armor_profile(
        document(profile=profile, behaviorModeling={"enable": True, "duration": 3}, updateExistingWorkloads=True), "x"
    )
    assert parsed.spec.profile.bpf is not None
    assert parsed.spec.profile.bpf.mounts[0].reverse_mount_flags == (1 << 32) - 1
    assert parsed.spec.target.containers == ("c",)
    assert parse_armor_profile(parsed.manifest(), "y") == parsed


@given(spec=records(ArmorProfileSpec), status=st.none() | records(ArmorProfileStatus))
def test_what_is_written_is_read_again(spec: ArmorProfileSpec, status: ArmorProfileStatus | None) -> None:
    profile = ArmorProfile(namespace="a", name="b", spec=spec, status=status)
    assert parse_armor_profile(profile.manifest(), "x") == profile


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"profile": None}, "the field 'profile' is missing"),
        ({"target": {"kind": "Pod"}}, "needs either name or selector"),
        ({"profile": {"name": "x", "enforcer": "BPF", "mode": "audit"}}, "expected one of enforce, complain"),
        ({"behaviorModelling": {}}, "did you mean 'behaviorModeling'?"),
    ],
)
def test_bad_profile(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_armor_profile(document(**spec), "x")
    assert words in str(caught.value)
    assert "ArmorProfile demo/varmor-demo-web: spec" in str(caught.value)

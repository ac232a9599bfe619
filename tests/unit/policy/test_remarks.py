# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import manifest, policy
from varmor.policy.parse import parse_object
from varmor.policy.remarks import Remark, remarks

RULES = "spec.policy.enhanceProtect"
FILE = {"qualifiers": ["deny"], "pattern": "/x", "permissions": ["r"]}
EGRESS = {"qualifiers": ["deny"], "ip": "1.2.3.4"}
SYSCALL = {"names": ["mount"], "action": "SCMP_ACT_ERRNO"}
MODEL = {"profileType": "BehaviorModel"}


def test_a_policy_without_repetitions_has_none() -> None:
    assert remarks(policy()) == ()
    made = policy(
        hardeningRules=["disallow-mount", "disallow-umount"],
        attackProtectionRules=[{"rules": ["disable-shell"]}, {"rules": ["disable-shell"], "targets": ["/bin/x"]}],
        bpfRawRules={"files": [FILE, {**FILE, "pattern": "/y"}], "processes": [FILE]},
    )
    assert remarks(made) == ()


@pytest.mark.parametrize(
    ("rules", "field", "repeats"),
    [
        ({"hardeningRules": ["a-b", "c", "A_B"]}, "hardeningRules[2]", "hardeningRules[0]"),
        ({"vulMitigationRules": ["a", "a"]}, "vulMitigationRules[1]", "vulMitigationRules[0]"),
        (
            {"attackProtectionRules": [{"rules": ["x", "y"]}, {"rules": ["Y"]}]},
            "attackProtectionRules[1].rules[0]",
            "attackProtectionRules[0].rules[1]",
        ),
        (
            {"attackProtectionRules": [{"rules": ["x"], "targets": ["/a", "/a"]}]},
            "attackProtectionRules[0].targets[1]",
            "targets[0]",
        ),
        ({"appArmorRawRules": [{"rules": "x"}, {"rules": "x"}]}, "appArmorRawRules[1]", "appArmorRawRules[0]"),
        ({"bpfRawRules": {"files": [FILE, FILE]}}, "bpfRawRules.files[1]", "files[0]"),
        (
            {"bpfRawRules": {"files": [{**FILE, "qualifiers": ["deny", "Deny"]}]}},
            "bpfRawRules.files[0].qualifiers[1]",
            "qualifiers[0]",
        ),
        (
            {"bpfRawRules": {"network": {"egress": {"toDestinations": [EGRESS, EGRESS]}}}},
            "bpfRawRules.network.egress.toDestinations[1]",
            "toDestinations[0]",
        ),
        (
            {"bpfRawRules": {"network": {"sockets": [{"qualifiers": ["deny"], "domains": ["inet", "inet"]}]}}},
            "bpfRawRules.network.sockets[0].domains[1]",
            "domains[0]",
        ),
        (
            {"bpfRawRules": {"ptrace": {"qualifiers": ["deny"], "permissions": ["read", "read"]}}},
            "bpfRawRules.ptrace.permissions[1]",
            "permissions[0]",
        ),
        ({"syscallRawRules": [SYSCALL, SYSCALL]}, "syscallRawRules[1]", "syscallRawRules[0]"),
        (
            {"syscallRawRules": [{**SYSCALL, "names": ["mount", "mount"]}]},
            "syscallRawRules[0].names[1]",
            "names[0]",
        ),
    ],
)
def test_repetitions(rules: dict[str, Any], field: str, repeats: str) -> None:
    made = policy(**rules)
    assert remarks(made) == (Remark(f"{RULES}.{field}", f"repeats {repeats}: one of them does nothing"),)
    assert made.locate(remarks(made)[0].field) == made.positions[f"{RULES}.{field}"]


def _defense(mode: str, enforcer: str, **parts: Any) -> tuple[Remark, ...]:
    document = manifest(mode=mode, enforcer=enforcer)
    document["spec"]["policy"]["defenseInDepth"] = parts
    return remarks(parse_object(document, "m"))


def test_idle_parts() -> None:
    place = "spec.policy.defenseInDepth"
    assert _defense("RuntimeDefault", "BPF") == (
        Remark(place, "is read in mode DefenseInDepth only; this is RuntimeDefault"),
    )
    assert _defense("DefenseInDepth", "BPF", bpf=MODEL, seccomp=MODEL) == (
        Remark(f"{place}.seccomp", "Seccomp is not among the policy's enforcers: does nothing"),
    )
    assert _defense("DefenseInDepth", "AppArmor", appArmor={**MODEL, "customProfile": "x"}) == (
        Remark(f"{place}.appArmor.customProfile", "profileType BehaviorModel takes the profile from the model"),
    )
    document = manifest()
    document["spec"]["policy"]["modelingOptions"] = {"duration": 1}
    assert [remark.field for remark in remarks(parse_object(document, "m"))] == ["spec.policy.modelingOptions"]


@pytest.mark.parametrize(
    ("target", "idle"),
    [
        ({"kind": "Container", "name": "web"}, True),
        ({"kind": "Unit", "name": "a.service"}, True),
        ({"kind": "Pod", "name": "p"}, False),
    ],
)
def test_rolling_out_is_for_clusters(target: dict[str, Any], idle: bool) -> None:
    document = manifest(target=target)
    document["spec"]["updateExistingWorkloads"] = True
    fields = [remark.field for remark in remarks(parse_object(document, "m"))]
    assert fields == (["spec.updateExistingWorkloads"] if idle else [])


def test_containers_of_a_target() -> None:
    made = policy(target={"kind": "Pod", "name": "p", "containers": ["a", "a"]})
    assert [remark.field for remark in remarks(made)] == ["spec.target.containers[1]"]

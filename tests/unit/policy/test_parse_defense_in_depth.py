# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import manifest
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.policy.types import (
    AppArmorDefense,
    AppArmorRawRule,
    BpfAllowList,
    BpfDefense,
    BpfMountRule,
    BpfPathRule,
    BpfPtraceRule,
    BpfRawRules,
    BpfSocketRule,
    DefenseInDepth,
    Destination,
    Mode,
    ModelingOptions,
    Policy,
    ProfileType,
    SeccompDefense,
    SyscallRule,
)

CUSTOM = {"profileType": "Custom", "customProfile": "profile x {}"}
MODEL = {"profileType": "BehaviorModel"}


def parsed(parts: object, *, enforcer: str = "AppArmorBPFSeccomp", mode: str = "DefenseInDepth") -> Policy:
    document = manifest(mode=mode, enforcer=enforcer)
    document["spec"]["policy"]["defenseInDepth"] = parts
    if mode == "EnhanceProtect":
        document["spec"]["policy"]["enhanceProtect"] = {}
    return parse_object(document, "m.yaml")


def test_all_parts() -> None:
    path = {"pattern": "/x", "permissions": ["R"]}
    deny = {"qualifiers": ["deny"], **path}
    policy = parsed(
        {
            "appArmor": {**CUSTOM, "appArmorRawRules": [{"rules": "deny /x r,", "targets": ["/bin/sh"]}]},
            "seccomp": {
                "profileType": "Custom",
                "customProfile": "{}",
                "syscallRawRules": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}],
            },
            "bpf": {
                "profileType": "Custom",
                "customProfile": {
                    "files": [path],
                    "processes": [path],
                    "network": {
                        "sockets": [{"domains": ["INET"]}],
                        "egress": {"toDestinations": [{"ip": "1.2.3.4"}]},
                    },
                    "ptrace": {"permissions": ["READ"], "strictMode": True},
                    "mounts": [{"sourcePattern": "**", "fstype": "tmpfs", "flags": ["all"]}],
                    "capabilities": ["CAP_CHOWN", "setuid"],
                    "operations": ["Userns_Create"],
                },
                "bpfRawRules": {"files": [deny]},
            },
            "allowViolations": True,
        }
    )
    assert policy.mode is Mode.DEFENSE_IN_DEPTH
    assert policy.defense_in_depth == DefenseInDepth(
        apparmor=AppArmorDefense(ProfileType.CUSTOM, "profile x {}", (AppArmorRawRule("deny /x r,", ("/bin/sh",)),)),
        seccomp=SeccompDefense(ProfileType.CUSTOM, "{}", (SyscallRule(("mount",), "SCMP_ACT_ERRNO"),)),
        bpf=BpfDefense(
            ProfileType.CUSTOM,
            BpfAllowList(
                files=(BpfPathRule((), "/x", ("r",)),),
                processes=(BpfPathRule((), "/x", ("r",)),),
                egress=(Destination((), ip="1.2.3.4"),),
                sockets=(BpfSocketRule((), ("inet",)),),
                ptrace=BpfPtraceRule((), ("read",), strict_mode=True),
                mounts=(BpfMountRule((), "**", "tmpfs", ("all",)),),
                capabilities=("chown", "setuid"),
                operations=("userns_create",),
            ),
            BpfRawRules(files=(BpfPathRule(("deny",), "/x", ("r",)),)),
        ),
        allow_violations=True,
    )


def test_models_need_no_text() -> None:
    made = parsed({"appArmor": MODEL, "seccomp": MODEL, "bpf": MODEL}).defense_in_depth
    assert made == DefenseInDepth(
        AppArmorDefense(ProfileType.BEHAVIOR_MODEL),
        SeccompDefense(ProfileType.BEHAVIOR_MODEL),
        BpfDefense(ProfileType.BEHAVIOR_MODEL),
    )


def test_an_empty_allow_list_is_one() -> None:
    made = parsed({"bpf": {"profileType": "Custom", "customProfile": {}}}, enforcer="BPF").defense_in_depth
    assert made == DefenseInDepth(bpf=BpfDefense(ProfileType.CUSTOM))


def test_in_another_mode_no_part_is_needed_but_what_is_there_is_checked() -> None:
    assert parsed({}, mode="EnhanceProtect").defense_in_depth == DefenseInDepth()
    with pytest.raises(PolicyError, match="did you mean 'seccomp'"):
        parsed({"secomp": {}}, mode="EnhanceProtect")


def test_modeling_options() -> None:
    document = manifest(mode="BehaviorModeling")
    document["spec"]["policy"]["modelingOptions"] = {"duration": 30}
    assert parse_object(document, "m").modeling_options == ModelingOptions(30)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "the field 'appArmor' is missing: the policy's enforcer AppArmor has no profile"),
        ({"appArmor": MODEL, "seccomp": MODEL}, "the field 'bpf' is missing"),
        ({"appArmor": MODEL, "bpf": MODEL}, "the field 'seccomp' is missing"),
        ({"appArmor": {}}, "appArmor: the field 'profileType' is missing"),
        ({"appArmor": {"profileType": "custom"}}, "did you mean 'Custom'?"),
        ({"appArmor": {"profileType": "Custom"}}, "the field 'customProfile' is missing; profileType Custom"),
        ({"appArmor": {"profileType": "Custom", "customProfile": {}}}, "expected a string, found a mapping"),
        ({"seccomp": {"profileType": "Custom", "customProfile": ""}}, "expected a string, found an empty one"),
        ({"seccomp": {**CUSTOM, "appArmorRawRules": []}}, "unknown field 'appArmorRawRules'"),
        ({"bpf": CUSTOM}, "bpf.customProfile: expected a mapping, found a string"),
        (
            {"bpf": {"profileType": "Custom", "customProfile": {"files": [{"qualifiers": ["deny"]}]}}},
            "an allow-list's entries have no qualifiers",
        ),
        (
            {"bpf": {"profileType": "Custom", "customProfile": {"network": {"egress": {"toPods": []}}}}},
            "an allow-list names addresses: use toDestinations",
        ),
        ({"networkProxy": {}}, "networkProxy: the enforcer NetworkProxy is not built yet: remove it"),
        ({"auditViolations": True}, "unknown field 'auditViolations'"),
    ],
)
def test_bad_parts(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parsed(parts)
    assert words in str(caught.value)
    assert caught.value.field.startswith("spec.policy.defenseInDepth")

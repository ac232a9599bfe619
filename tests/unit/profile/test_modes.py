# SPDX-License-Identifier: Apache-2.0
"""What each mode makes of each enforcer, and that observation means the same everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.manifests import defense, defense_manifest, manifest, profile
from varmor.catalog.loader import load
from varmor.errors import PolicyError
from varmor.policy.armor_profile_model import parse_model
from varmor.policy.parse import parse_object
from varmor.policy.types import Enforcer
from varmor.profile.bpf import RUNTIME_DEFAULT
from varmor.profile.compile import compile_policy
from varmor.profile.types import Access, BpfProfile, NodeFacts, Profile

UNIT = {"kind": "Unit", "name": "nginx.service"}
# A rule that all three enforcers can say.
ALL_THREE = "disallow-mount"


@dataclass(frozen=True)
class Effect:
    """What happens at a violation of a built-in rule, and at one of the runtime default."""

    refused: bool
    recorded: bool
    default_refused: bool
    default_recorded: bool


def _bpf(made: Profile) -> Effect:
    assert made.bpf is not None
    own = [rule for rule in made.bpf.mounts if rule.origin == ALL_THREE]
    default = [rule for rule in made.bpf.paths if rule.origin == RUNTIME_DEFAULT]
    return Effect(
        any(rule.deny for rule in own),
        any(rule.audit for rule in own),
        all(rule.deny for rule in default) and bool(default),
        all(rule.audit for rule in default) and bool(default),
    )


def _apparmor(made: Profile) -> Effect:
    lines = [line.strip() for line in (made.apparmor or "").splitlines()]
    own = lines[lines.index(f"# {ALL_THREE}") + 1 :] if f"# {ALL_THREE}" in lines else []
    default = [line for line in lines if "/proc/{sysrq-trigger," in line]
    mount = [line for line in own if line.removeprefix("audit ").removeprefix("deny ").startswith("mount")]
    return Effect(
        any("deny mount" in line for line in mount),
        any(line.startswith("audit ") for line in mount),
        any("deny" in line for line in default),
        any("audit" in line for line in default),
    )


def _seccomp(made: Profile) -> Effect:
    entries = {name: entry["action"] for entry in (made.seccomp or {}).get("syscalls", ()) for name in entry["names"]}
    flags = (made.seccomp or {}).get("flags", [])
    action = entries.get("mount", "SCMP_ACT_ALLOW")
    refused = action == "SCMP_ACT_ERRNO"
    # The runtime's own filter stays beside ours: the stricter of both holds.
    return Effect(refused, action == "SCMP_ACT_LOG" or (refused and bool(flags)), True, True)


@pytest.mark.parametrize(
    ("allow", "audit", "refused", "recorded"),
    [(False, False, True, False), (False, True, True, True), (True, True, False, True), (True, False, False, False)],
)
def test_the_two_flags_mean_the_same_for_all_enforcers(allow: bool, audit: bool, refused: bool, recorded: bool) -> None:
    made = profile(hardeningRules=[ALL_THREE], allowViolations=allow, auditViolations=audit)
    bpf, seccomp = _bpf(made), _seccomp(made)
    assert (bpf.refused, bpf.recorded) == (refused, recorded)
    assert (seccomp.refused, seccomp.recorded) == (refused, recorded)
    assert (bpf.default_refused, bpf.default_recorded) == (True, audit), "the runtime default refuses in any case"
    apparmor = _apparmor(made)
    assert (apparmor.default_refused, apparmor.default_recorded) == (True, audit)
    if refused:
        assert (apparmor.refused, apparmor.recorded) == (refused, recorded)
    else:
        assert "deny mount" in (made.apparmor or ""), "mounts are refused by the runtime default, observed or not"
    assert made.observe == allow


@pytest.mark.parametrize(("allow", "audit"), [(False, False), (False, True), (True, True), (True, False)])
def test_a_privileged_policy_has_its_rules_and_no_more(allow: bool, audit: bool) -> None:
    made = profile(privileged=True, hardeningRules=[ALL_THREE], allowViolations=allow, auditViolations=audit)
    for effect in (_bpf(made), _apparmor(made), _seccomp(made)):
        assert (effect.refused, effect.recorded) == (not allow, audit)
    assert not _bpf(made).default_refused
    assert not _apparmor(made).default_refused


ENFORCERS = [
    Enforcer.APPARMOR,
    Enforcer.BPF,
    Enforcer.SECCOMP,
    Enforcer.APPARMOR | Enforcer.BPF,
    Enforcer.APPARMOR | Enforcer.SECCOMP,
    Enforcer.BPF | Enforcer.SECCOMP,
    Enforcer.APPARMOR | Enforcer.BPF | Enforcer.SECCOMP,
]
APPARMOR_TEXT = "profile nginx {\n  #include <abstractions/base>\n  /usr/sbin/nginx mrix,\n}\n"
SECCOMP_TEXT = json.dumps(
    {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}]}
)
PARTS: dict[str, Any] = {
    "appArmor": {"profileType": "Custom", "customProfile": APPARMOR_TEXT},
    "seccomp": {"profileType": "Custom", "customProfile": SECCOMP_TEXT},
    "bpf": {"profileType": "Custom", "customProfile": {"files": [{"pattern": "/srv/**", "permissions": ["read"]}]}},
}


def _document(mode: str, enforcers: Enforcer, target: dict[str, Any] | None) -> dict[str, Any]:
    name = "".join(enforcers.names())
    if mode == "DefenseInDepth":
        return defense_manifest(name, target, **PARTS)
    document = manifest(mode=mode, enforcer=name, target=target)
    if mode == "BehaviorModeling":
        document["spec"]["policy"]["modelingOptions"] = {"duration": 30}
    return document


def _made(mode: str, enforcers: Enforcer, target: dict[str, Any] | None = None) -> Profile:
    return compile_policy(parse_object(_document(mode, enforcers, target), "test"), load(), NodeFacts())


@pytest.mark.parametrize("target", [None, UNIT], ids=["container", "unit"])
@pytest.mark.parametrize("enforcers", ENFORCERS, ids=lambda member: "".join(member.names()))
@pytest.mark.parametrize(
    "mode", ["AlwaysAllow", "RuntimeDefault", "EnhanceProtect", "BehaviorModeling", "DefenseInDepth"]
)
def test_every_mode_with_every_combination(mode: str, enforcers: Enforcer, target: dict[str, Any] | None) -> None:
    made = _made(mode, enforcers, target)
    assert (made.apparmor is not None) == (Enforcer.APPARMOR in enforcers)
    assert (made.bpf is not None) == (Enforcer.BPF in enforcers)
    filtered = Enforcer.SECCOMP in enforcers and mode in ("BehaviorModeling", "DefenseInDepth")
    assert (made.seccomp is not None) == (filtered and target is None)
    directives = {name for name, _ in made.unit.directives}
    assert ("AppArmorProfile" in directives) == (Enforcer.APPARMOR in enforcers and target is not None)
    assert bool(directives & {"SystemCallFilter", "SystemCallLog"}) == (filtered and target is not None)


def test_always_allow() -> None:
    made = _made("AlwaysAllow", ENFORCERS[-1])
    assert made.bpf == BpfProfile()
    assert "deny" not in (made.apparmor or "")


def test_modeling_refuses_nothing_and_records() -> None:
    made = _made("BehaviorModeling", ENFORCERS[-1])
    assert made.observe
    assert made.bpf == BpfProfile()
    assert "complain" in (made.apparmor or "")
    assert made.seccomp is not None
    assert made.seccomp["defaultAction"] == "SCMP_ACT_LOG"
    assert any("BPF records nothing while it models" in note.message for note in made.no_effect)


def test_modeling_a_unit_logs_all_calls_but_the_commonest() -> None:
    made = _made("BehaviorModeling", Enforcer.SECCOMP, UNIT)
    assert made.unit.directives == (("SystemCallLog", "~close open openat openat2 read write"),)


def test_the_list_of_a_container_is_enforced_and_what_it_refuses_recorded() -> None:
    made = _made("DefenseInDepth", ENFORCERS[-1])
    assert made.bpf is not None
    assert made.bpf.allow is not None
    assert (made.bpf.allow.deny, made.bpf.allow.audit) == (True, True)
    assert made.bpf.paths == (), "the runtime default is no part of an allow-list"
    assert made.seccomp is not None
    assert made.seccomp["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "profile varmor-default-web " in (made.apparmor or "")
    assert not made.observe
    assert made.refused_syscalls


def test_the_list_of_a_unit() -> None:
    made = _made("DefenseInDepth", Enforcer.SECCOMP, UNIT)
    assert made.unit.directives == (
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", "read write"),
        ("SystemCallErrorNumber", "EPERM"),
    )


def test_observing_a_list_keeps_the_runtime_default() -> None:
    allow = {
        "files": [
            {"pattern": "/proc/sys/net/**", "permissions": ["write"]},
            {"pattern": "/sys/firmware/**", "permissions": ["exec"]},
        ]
    }
    made = defense(
        "BPFSeccomp",
        allowViolations=True,
        bpf={"profileType": "Custom", "customProfile": allow},
        seccomp=PARTS["seccomp"],
    )
    assert made.bpf is not None
    assert made.bpf.allow is not None
    assert (made.bpf.allow.deny, made.bpf.allow.audit) == (False, True)
    patterns = {rule.pattern for rule in made.bpf.paths}
    assert "/sys/firmware{,/**}" in patterns
    assert not any(pattern.startswith("/proc/sys/{") for pattern in patterns), "what the list names is let pass"
    assert all(rule.deny and rule.origin == RUNTIME_DEFAULT for rule in made.bpf.paths)
    assert [rule.origin for rule in made.bpf.mounts] == [RUNTIME_DEFAULT]
    assert [rule.origin for rule in made.bpf.ptrace] == [RUNTIME_DEFAULT]
    assert made.seccomp is not None
    assert made.seccomp["defaultAction"] == "SCMP_ACT_LOG"
    assert made.observe


def test_a_list_that_mounts_and_traces_is_observed_without_being_refused_that() -> None:
    allow = {
        "mounts": [{"sourcePattern": "tmpfs", "fstype": "tmpfs", "flags": ["all"]}],
        "ptrace": {"permissions": ["read"]},
    }
    made = defense("BPF", allowViolations=True, bpf={"profileType": "Custom", "customProfile": allow})
    assert made.bpf is not None
    assert (made.bpf.mounts, made.bpf.ptrace) == ((), ())


def test_raw_rules_refuse_in_addition() -> None:
    raw = {"files": [{"qualifiers": ["deny"], "pattern": "/srv/keys/**", "permissions": ["read"]}]}
    made = defense("BPF", bpf={**PARTS["bpf"], "bpfRawRules": raw})
    assert made.bpf is not None
    (rule,) = made.bpf.paths
    assert (rule.deny, rule.access, rule.origin) == (True, Access.READ, "defenseInDepth.bpf.bpfRawRules.files[0]")


MODEL: dict[str, Any] = {
    "apiVersion": "crd.varmor.org/v1beta1",
    "kind": "ArmorProfileModel",
    "metadata": {"namespace": "default", "name": "varmor-default-web"},
    "data": {
        "profile": {
            "name": "varmor-default-web",
            "enforcer": "AppArmorSeccomp",
            "mode": "enforce",
            "appArmor": APPARMOR_TEXT,
            "seccomp": SECCOMP_TEXT,
        }
    },
}
BY_MODEL = {"profileType": "BehaviorModel"}


def _part(name: str, value: Any) -> dict[str, Any]:
    return {name: value}


@pytest.mark.parametrize(("enforcer", "part"), [("AppArmor", "appArmor"), ("Seccomp", "seccomp")])
def test_profiles_of_a_model_are_those_of_a_policy(enforcer: str, part: str) -> None:
    by_model = defense(enforcer, parse_model(MODEL, "model"), **_part(part, BY_MODEL))
    custom = defense(enforcer, **_part(part, PARTS[part]))
    assert by_model.seccomp == custom.seccomp

    def rules(made: Profile) -> list[str]:
        return [line for line in (made.apparmor or "").splitlines() if not line.strip().startswith("# ")]

    assert rules(by_model) == rules(custom)


@pytest.mark.parametrize(("enforcer", "part"), [("AppArmor", "appArmor"), ("Seccomp", "seccomp"), ("BPF", "bpf")])
def test_a_missing_model_says_what_to_do(enforcer: str, part: str) -> None:
    stranger = parse_model({**MODEL, "metadata": {"namespace": "shop", "name": "varmor-default-web"}}, "model")
    with pytest.raises(PolicyError) as caught:
        defense(enforcer, stranger, **_part(part, BY_MODEL))
    assert caught.value.field == f"spec.policy.defenseInDepth.{part}.profileType"
    assert "the behaviour model 'varmor-default-web' of the namespace default is missing" in caught.value.problem
    assert "use profileType Custom" in caught.value.problem


@pytest.mark.parametrize(("enforcer", "part"), [("AppArmor", "appArmor"), ("Seccomp", "seccomp"), ("BPF", "bpf")])
def test_a_model_without_the_enforcers_profile(enforcer: str, part: str) -> None:
    with pytest.raises(PolicyError, match="among the enforcers, or use profileType Custom"):
        defense(enforcer, parse_model({**MODEL, "data": {}}, "model"), **_part(part, BY_MODEL))


def test_targets_have_no_place_in_defense_in_depth() -> None:
    raw = [{"rules": "deny /x w,", "targets": ["/bin/x"]}]
    with pytest.raises(PolicyError) as caught:
        defense("AppArmor", appArmor={**PARTS["appArmor"], "appArmorRawRules": raw})
    assert caught.value.field == "spec.policy.defenseInDepth.appArmor.appArmorRawRules[0].targets"

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import manifest, policy
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object, parse_policies, profile_name
from varmor.policy.types import (
    BpfPathRule,
    Destination,
    Enforcer,
    Mode,
    PolicyKey,
    PolicyKind,
    Port,
    SyscallArg,
    SyscallRule,
    TargetKind,
)


def test_defaults() -> None:
    parsed = policy()
    assert str(parsed.key) == "VarmorPolicy default/web"
    assert profile_name(parsed.key) == "varmor-default-web"
    assert parsed.mode is Mode.ENHANCE_PROTECT
    assert parsed.enhance_protect is not None
    assert not parsed.enhance_protect.privileged
    assert parsed.manifest == manifest()


def test_cluster_policy_name() -> None:
    parsed = policy(kind="VarmorClusterPolicy")
    assert profile_name(parsed.key) == "varmor-cluster-varmor-web"


def test_metadata_and_status_of_a_server_are_accepted() -> None:
    document = manifest(metadata={"name": "web", "namespace": "a", "uid": "1", "managedFields": [], "labels": {}})
    document["status"] = {"phase": "Protecting"}
    assert parse_object(document, "x").key.namespace == "a"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("AppArmor", Enforcer.APPARMOR),
        ("bpfAPPARMOR", Enforcer.APPARMOR | Enforcer.BPF),
        ("SeccompBPFAppArmor", Enforcer.APPARMOR | Enforcer.BPF | Enforcer.SECCOMP),
        ("AppArmor, BPF", Enforcer.APPARMOR | Enforcer.BPF),
    ],
)
def test_enforcers(word: str, expected: Enforcer) -> None:
    assert policy(enforcer=word).enforcers == expected


def test_everything_in_enhance_protect() -> None:
    rules = policy(
        hardeningRules=["DISABLE_CAP_NET_RAW"],
        attackProtectionRules=[{"rules": ["disable-shell"], "targets": ["/bin/x"]}],
        vulMitigationRules=["dirty-pipe-mitigation"],
        appArmorRawRules=[{"rules": "deny /x w,"}],
        bpfRawRules={
            "files": [{"qualifiers": ["DENY"], "pattern": "/x", "permissions": ["R"]}],
            "processes": [{"qualifiers": ["audit"], "pattern": "*x", "permissions": ["exec"]}],
            "network": {
                "egress": {
                    "toDestinations": [
                        {"qualifiers": ["deny"], "ip": "1.2.3.4", "ports": [{"port": 1, "endPort": 9}, {"port": 80}]}
                    ]
                }
            },
        },
        syscallRawRules=[
            {
                "names": ["mount"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 13,
                "args": [{"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}],
            }
        ],
        privileged=True,
        auditViolations=True,
        allowViolations=True,
    ).enhance_protect
    assert rules is not None
    assert rules.attack_protection_rules[0].targets == ("/bin/x",)
    assert rules.bpf_raw_rules.files == (BpfPathRule(("deny",), "/x", ("r",)),)
    assert rules.bpf_raw_rules.egress == (Destination(("deny",), "1.2.3.4", "", (Port(1, 9), Port(80))),)
    arg = SyscallArg(1, 2, "SCMP_CMP_MASKED_EQ", 3)
    assert rules.syscall_raw_rules == (SyscallRule(("mount",), "SCMP_ACT_ERRNO", 13, (arg,)),)
    assert rules.privileged
    assert rules.audit_violations
    assert rules.allow_violations


def test_targets() -> None:
    container = policy(
        target={
            "kind": "Container",
            "name": "web-*",
            "image": "nginx*",
            "selector": {
                "matchLabels": {"b": "2", "a.b/c": ""},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["y", "x"]}],
            },
        }
    ).target
    assert container.selector is not None
    assert container.selector.match_labels == (("a.b/c", ""), ("b", "2"))
    assert container.selector.match_expressions[0].values == ("x", "y")
    assert policy(target={"kind": "Unit", "name": "a@b.service"}).target.name == "a@b.service"
    pod = policy(target={"kind": "Pod", "name": "p", "containers": ["c"]}).target
    assert (pod.kind, pod.containers) == (TargetKind.POD, ("c",))


def _with(path: str, value: Any) -> dict[str, Any]:
    """The small manifest with one field set, or removed for the value ``...``."""
    document = manifest()
    *parents, last = path.split(".")
    place: Any = document
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


RULES = "spec.policy.enhanceProtect"
BAD = [
    ("kind", ..., "the field 'kind' is missing"),
    ("kind", "Pod", "the kind 'Pod' is no policy"),
    ("kind", "VarmorPolice", "did you mean 'VarmorPolicy'?"),
    ("apiVersion", "v1", "unknown version 'v1'; expected 'crd.varmor.org/v1beta1'"),
    ("apiVersion", ..., "the field 'apiVersion' is missing"),
    ("metadata", ..., "the field 'metadata' is missing"),
    ("metadata.name", "Web_1", "'Web_1' is not a valid name"),
    ("metadata.name", "web\n", "VarmorPolicy: metadata.name: 'web\\n' is not a valid name"),
    ("metadata.name", "x" * 60, "75 characters, at most 63"),
    ("metadata.name", 5, "expected a string, found an integer 5; put quotes around it"),
    ("metadata.namespace", "a.b", "'a.b' is not a valid namespace"),
    ("metadata.labls", {}, "unknown field 'labls'"),
    ("spec", None, "the field 'spec' is missing"),
    ("spec", [], "expected a mapping, found a list"),
    ("spec.polcy", {}, "did you mean 'policy'?"),
    ("spec.updateExistingWorkloads", "yes", "expected true or false, found a string 'yes'"),
    ("spec.policy.mode", "EnhancedProtect", "did you mean 'EnhanceProtect'?"),
    ("spec.policy.mode", True, "expected a string, found true or false"),
    ("spec.policy.enforcer", "", "expected a string, found an empty one"),
    ("spec.policy.enforcer", "Armor", "unknown enforcer 'Armor'"),
    ("spec.policy.enforcer", "BPFX", "unknown enforcer 'BPFX' at 'X'"),
    ("spec.policy.enforcer", ",", "unknown enforcer ','"),
    ("spec.policy.enforcer", "BPFNetworkProxy", "NetworkProxy is not built yet"),
    ("spec.policy.enhanceProtect", ..., "the field 'enhanceProtect' is missing"),
    ("spec.policy.mode", "BehaviorModeling", "'modelingOptions' is missing; the mode BehaviorModeling needs it"),
    ("spec.policy.mode", "DefenseInDepth", "'defenseInDepth' is missing; the mode DefenseInDepth needs it"),
    ("spec.policy.modelingOptions", {}, "the field 'duration' is missing"),
    ("spec.policy.modelingOptions", {"duration": 0}, "0 is out of range; expected 1 to 5256000"),
    ("spec.policy.modelingOptions", {"duration": True}, "expected an integer, found true or false"),
    ("spec.policy.networkProxyConfig", {}, "the enforcer NetworkProxy is not built yet"),
    ("spec.target", {"kind": "Job", "name": "x"}, "unknown value 'Job'; expected one of Container, Unit"),
    ("spec.target", {"kind": "Container"}, "needs at least one of name, image and selector"),
    ("spec.target", {"kind": "Container", "name": "a b"}, "holds a space"),
    ("spec.target", {"kind": "Container", "name": "a", "containers": ["b"]}, "use that field"),
    ("spec.target", {"kind": "Unit"}, "the field 'name' is missing"),
    ("spec.target", {"kind": "Unit", "name": "nginx"}, "is not the full name of a service unit"),
    ("spec.target", {"kind": "Unit", "name": "x.slice"}, "is not the full name of a service unit"),
    ("spec.target", {"kind": "Unit", "name": "ngin*.service"}, "takes no wildcard"),
    ("spec.target", {"kind": "Unit", "name": "getty@.service"}, "is a template"),
    ("spec.target", {"kind": "Unit", "name": "../a.service"}, "is not the full name"),
    ("spec.target", {"kind": "Unit", "name": "a.service", "image": "x"}, "is chosen by its name alone"),
    ("spec.target", {"kind": "Unit", "name": "a.service", "selector": {}}, "is chosen by its name alone"),
    ("spec.target", {"kind": "Pod"}, "needs either name or selector, found neither"),
    ("spec.target", {"kind": "Pod", "name": "x", "selector": {"matchLabels": {"a": "b"}}}, "found both"),
    ("spec.target", {"kind": "Pod", "name": "x", "image": "y"}, "is not chosen by image"),
    ("spec.target", {"kind": "Pod", "selector": {}}, "an empty selector would match everything"),
    ("spec.target", {"kind": "Pod", "selector": {"matchLabels": {"a b": "c"}}}, "is not a label name"),
    ("spec.target", {"kind": "Pod", "selector": {"matchLabels": {"a\nb": "c"}}}, "matchLabels.'a\\nb': 'a\\nb' is not"),
    ("spec.target", {"kind": "Pod", "selector": {"matchLabels": {"a": "b c"}}}, "is not a label value"),
    (
        "spec.target",
        {"kind": "Pod", "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        "takes at least one value, found 0",
    ),
    (
        "spec.target",
        {"kind": "Pod", "selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}},
        "takes no values, found 1",
    ),
    (
        "spec.target",
        {"kind": "Pod", "selector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["x"]}]}},
        "did you mean 'In'?",
    ),
    (RULES, {"hardeningRule": []}, "did you mean 'hardeningRules'?"),
    (RULES, {"hardeningRules": "x"}, "expected a list, found a string 'x'"),
    (RULES, {"hardeningRules": [1]}, "hardeningRules[0]: expected a string, found an integer 1"),
    (RULES, {"hardeningRules": ["x"] * 1001}, "1001 elements are more than the 1000"),
    (RULES, {"attackProtectionRules": ["disable-shell"]}, "expected a mapping such as {rules: [disable-shell]}"),
    (RULES, {"attackProtectionRules": [{"rules": []}]}, "expected at least one element"),
    (RULES, {"attackProtectionRules": [{"rules": ["x"], "targets": ["sh"]}]}, "is not the full path of a program"),
    (RULES, {"appArmorRawRules": [{"rules": 5}]}, "expected a string, found an integer 5"),
    (RULES, {"networkProxyRawRules": {}}, "the enforcer NetworkProxy is not built yet"),
    (RULES, {"privileged": 1}, "expected true or false, found an integer 1"),
    (RULES, {"syscallRawRules": [{"names": [], "action": "x"}]}, "expected at least one element"),
    (RULES, {"syscallRawRules": [{"names": ["a"]}]}, "the field 'action' is missing"),
    (RULES, {"syscallRawRules": [{"names": ["a"], "action": "x", "errnoRet": 5000}]}, "expected 0 to 4095"),
    (
        RULES,
        {"syscallRawRules": [{"names": ["a"], "action": "x", "args": [{"index": 6, "value": 1, "op": "x"}]}]},
        "6 is out of range; expected 0 to 5",
    ),
    (
        RULES,
        {"syscallRawRules": [{"names": ["a"], "action": "x", "args": [{"index": 0, "value": -1, "op": "x"}]}]},
        "-1 is out of range",
    ),
    (
        RULES,
        {"syscallRawRules": [{"names": ["a"], "action": "x", "args": [{"index": 0, "value": 1.5, "op": "x"}]}]},
        "expected an integer, found a number 1.5",
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "words"), BAD, ids=[f"{n}-{words[:30]}" for n, (_, _, words) in enumerate(BAD)]
)
def test_bad_manifest(path: str, value: object, words: str) -> None:
    document = _with(path, value)
    for read in (
        lambda: parse_object(document, "m.yaml"),
        lambda: parse_policies(yaml.safe_dump(document), "m.yaml"),
    ):
        with pytest.raises(PolicyError) as caught:
            read()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("m.yaml")


def test_cluster_policy_with_a_namespace() -> None:
    with pytest.raises(PolicyError, match="has no namespace"):
        policy(kind="VarmorClusterPolicy", metadata={"name": "a", "namespace": "b"})


def test_a_message_has_place_object_and_field() -> None:
    text = yaml.safe_dump(manifest(hardeningRules=[3]), sort_keys=False)
    line = text.splitlines().index("      - 3") + 1
    with pytest.raises(PolicyError) as caught:
        parse_policies(text, "m.yaml")
    assert str(caught.value) == (
        f"m.yaml:{line}:9: VarmorPolicy default/web: spec.policy.enhanceProtect.hardeningRules[0]: "
        "expected a string, found an integer 3; put quotes around it"
    )


def test_positions_reach_later_layers() -> None:
    (parsed,) = parse_policies(yaml.safe_dump(manifest(hardeningRules=["x"]), sort_keys=False), "m.yaml")
    assert parsed.locate("spec.policy.enhanceProtect.hardeningRules[0]").line == 14
    assert parsed.locate("spec.policy.enforcer.x[3].y") == parsed.locate("spec.policy.enforcer")


def test_stream() -> None:
    one, two = manifest(), manifest(metadata={"name": "other"})
    text = "---\n" + yaml.safe_dump_all([one, None, two])
    assert [parsed.key.name for parsed in parse_policies(text, "m")] == ["web", "other"]
    assert parse_policies("", "m") == []
    with pytest.raises(PolicyError, match=r"this policy is defined twice; the first is at m:1:1"):
        parse_policies(yaml.safe_dump_all([one, one]), "m")


names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)


@given(
    name=names,
    namespace=names,
    enforcers=st.lists(st.sampled_from(["AppArmor", "BPF", "Seccomp"]), min_size=1, max_size=3),
    # JSON writes what lies beyond U+FFFF as two escapes, which YAML does not know.
    hardening=st.lists(st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=20)),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_policy_survives_its_own_manifest(
    name: str, namespace: str, enforcers: list[str], hardening: list[str], flags: tuple[bool, bool, bool]
) -> None:
    document = manifest(
        enforcer="".join(enforcers),
        metadata={"name": name, "namespace": namespace},
        hardeningRules=hardening,
        privileged=flags[0],
        auditViolations=flags[1],
        allowViolations=flags[2],
    )
    parsed = parse_object(document, "x")
    assert parsed.key == PolicyKey(PolicyKind.VARMOR_POLICY, namespace, name)
    assert parse_object(parsed.manifest, "y") == parsed
    assert parse_policies(json.dumps(parsed.manifest), "z") == [parsed]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["kind", "metadata", "name", "spec", "target", "policy", "x"]), inner)
        ),
        max_leaves=15,
    )
)
def test_anything_else_is_a_policy_error(document: object) -> None:
    with pytest.raises(PolicyError):
        parse_object(document, "x")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from tests.unit.manifests import manifest, profile
from varmor.catalog.loader import load
from varmor.policy.parse import parse_object
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts

RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disable-cap-net-raw", "disallow-create-user-ns"],
    "attackProtectionRules": [{"rules": ["disable-write-etc", "disable-shell"]}],
}
OWN = '"{,*//&}varmor-default-web{,//&*}"'
CHILDREN = '"{,**//&}varmor-default-web//&varmor-default-web//child_**"'


def _text(facts: NodeFacts | None = None, **values: Any) -> str:
    text = profile(facts, **values).apparmor
    assert text is not None
    return text


def _rules(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().endswith(",")]


def test_frame() -> None:
    lines = _text(mode="RuntimeDefault").splitlines()
    assert lines[1:5] == [
        "abi <abi/3.0>,",
        "#include <tunables/global>",
        "",
        "profile varmor-default-web flags=(attach_disconnected,mediate_deleted) {",
    ]
    assert lines[-1] == "}"
    assert not any("abstractions/base" in line for line in lines)
    assert _text(NodeFacts(apparmor_abi=()), mode="RuntimeDefault").splitlines()[1] == "#include <tunables/global>"


def test_runtime_default() -> None:
    rules = _rules(_text(mode="RuntimeDefault"))
    assert {"network,", "capability,", "file,", "umount,", "deny mount,"} <= set(rules)
    assert f"signal (send,receive) peer={OWN}," in rules
    assert f"ptrace (trace,read,tracedby,readby) peer={OWN}," in rules
    assert "mount," not in rules
    assert not any(rule.startswith("audit") for rule in rules)


def test_always_allow() -> None:
    rules = _rules(_text(mode="AlwaysAllow"))
    assert {"mount,", "pivot_root,", "ptrace,", "signal,", "dbus,", "unix,"} <= set(rules)
    assert not any("deny" in rule for rule in rules)


def test_refuse_in_silence() -> None:
    rules = _rules(_text(**RULES))
    assert {"deny mount,", "deny capability net_raw,", "deny /etc/{,**} wl,"} <= set(rules)
    assert not any("audit" in rule or "userns" in rule for rule in rules)


def test_refuse_and_record() -> None:
    rules = _rules(_text(**RULES, auditViolations=True))
    assert "audit deny /etc/{,**} wl," in rules
    assert "audit deny /proc/sys/{[^k],k[^e],ke[^r]}** wl," in rules
    assert not any(rule.startswith("deny") for rule in rules)


def test_observe() -> None:
    rules = _rules(_text(**RULES, auditViolations=True, allowViolations=True))
    assert "audit /etc/{,**} wl," in rules
    assert any(rule.startswith("audit /{,**/}{sh,bash,") and rule.endswith(" rix,") for rule in rules)
    assert "audit capability net_raw," in rules
    # The runtime default stays refused.
    assert "audit deny mount," in rules
    assert "audit deny /proc/{sysrq-trigger,mem,kmem,kcore} rwklx," in rules


def test_allow_in_silence() -> None:
    assert _rules(_text(**RULES, allowViolations=True)) == _rules(_text(mode="RuntimeDefault"))


def test_privileged() -> None:
    rules = _rules(_text(**RULES, privileged=True))
    assert "pivot_root," in rules
    assert "deny mount," in rules
    assert not any("/proc/" in rule for rule in rules)


def test_raw_rules_stand_last_and_verbatim() -> None:
    text = _text(appArmorRawRules=[{"rules": "  deny /a w,\n    deny /b{c,d} r,\n"}, {"rules": "deny /e x,"}])
    field = "spec.policy.enhanceProtect.appArmorRawRules"
    assert text.endswith(
        f"\n\n  # begin {field}[0].rules\n    deny /a w,\n      deny /b{{c,d}} r,\n  # end {field}[0].rules\n"
        f"\n  # begin {field}[1].rules\n  deny /e x,\n  # end {field}[1].rules\n}}\n"
    )


def test_other_modes_leave_enhance_protect_alone() -> None:
    assert _text(mode="RuntimeDefault", appArmorRawRules=[{"rules": "deny /a w,"}]) == _text(mode="RuntimeDefault")
    assert _text(mode="AlwaysAllow", privileged=True) == _text(mode="AlwaysAllow")


def test_modeling_refuses_nothing_and_records_everything() -> None:
    document = manifest(mode="BehaviorModeling", enforcer="AppArmor")
    document["spec"]["policy"]["modelingOptions"] = {"duration": 5}
    text = compile_policy(parse_object(document, "test"), load(), NodeFacts()).apparmor
    assert text is not None
    assert text.endswith(
        "profile varmor-default-web flags=(attach_disconnected,mediate_deleted,complain) {\n  audit /** ix,\n}\n"
    )


def test_newer_classes_are_allowed_where_they_are_mediated() -> None:
    rules = {"enforcer": "AppArmor", "hardeningRules": ["disallow-create-user-ns"]}
    newest = NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"), kernel=(6, 12))
    text = _text(newest, **rules)
    assert "abi <abi/4.0>," in text
    assert {"userns,", "mqueue,", "io_uring,", "deny userns,"} <= set(_rules(text))
    older = NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"), kernel=(6, 1))
    text = _text(older, enforcer="AppArmorSeccomp", hardeningRules=["disallow-create-user-ns"])
    assert "abi <abi/3.0>," in text
    assert "userns" not in text


def _children(text: str) -> list[list[str]]:
    """The rules of each child profile."""
    parts = text.split("\n  profile child_")[1:]
    return [_rules(part) for part in parts]


def test_targets_run_under_the_workloads_rules_and_their_own() -> None:
    text = _text(
        hardeningRules=["disallow-mount"],
        attackProtectionRules=[
            {"rules": ["disable-write-etc", "disable-shell"], "targets": ["/usr/sbin/nginx", "/opt/b"]},
            {"rules": ["disable-shell"], "targets": ["/opt/a b"]},
        ],
        appArmorRawRules=[{"rules": "deny /x r,", "targets": ["/opt/c"]}],
    )
    rules = _rules(text.split("  # /")[0])
    stack = "varmor-default-web//&varmor-default-web//child_"
    transitions = [rule for rule in rules if " px " in rule]
    assert sorted(transitions) == [
        f'"/opt/a b" px -> {stack}2,',
        f"/opt/b px -> {stack}1,",
        f"/opt/c px -> {stack}3,",
        f"/sbin/nginx px -> {stack}1,",
        f"/usr/sbin/nginx px -> {stack}1,",
    ]
    assert "deny mount," in rules
    assert "deny /etc/{,**} wl," not in rules
    assert f"signal (send,receive) peer={CHILDREN}," in rules
    first, second, third = _children(text)
    assert {"file,", "mount,", "signal,", "deny /etc/{,**} wl,"} <= set(first)
    assert "deny /etc/{,**} wl," not in second
    assert any(rule.startswith("deny /{,**/}{sh,") for rule in second)
    assert "deny /x r," in third
    for child in (first, second, third):
        assert {f"deny signal (send) peer={OWN},", f"deny ptrace (trace,read) peer={OWN},"} <= set(child)
    assert text.rstrip().endswith("  }\n}")


def test_targets_are_recorded() -> None:
    targets: dict[str, Any] = {"attackProtectionRules": [{"rules": ["disable-write-etc"], "targets": ["/opt/a"]}]}
    text = _text(**targets, auditViolations=True)
    (child,) = _children(text)
    assert {f"audit deny signal (send) peer={OWN},", "audit deny /etc/{,**} wl,"} <= set(child)
    text = _text(**targets, auditViolations=True, allowViolations=True)
    (child,) = _children(text)
    assert {f"audit signal (send) peer={OWN},", "audit /etc/{,**} wl,"} <= set(child)
    assert not any("deny" in rule for rule in child)
    assert "audit /opt/a px -> varmor-default-web//&varmor-default-web//child_1," in _rules(text)
    assert _children(_text(**targets, allowViolations=True)) == []


def test_custom_rules_for_targets_deny_under_observation_too() -> None:
    raw = [{"rules": "deny /x r,", "targets": ["/opt/a"]}]
    (child,) = _children(_text(appArmorRawRules=raw, allowViolations=True))
    assert {"deny /x r,", f"deny signal (send) peer={OWN},"} <= set(child)


def test_the_same_policy_gives_the_same_text() -> None:
    assert _text(**RULES) == _text(**RULES)

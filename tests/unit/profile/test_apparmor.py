# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from tests.unit.manifests import profile
from varmor.profile.types import NodeFacts

RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disable-cap-net-raw", "disallow-create-user-ns"],
    "attackProtectionRules": [{"rules": ["disable-write-etc", "disable-shell"]}],
}


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
    assert "  #include <abstractions/base>" in lines
    assert _text(NodeFacts(apparmor_abi=()), mode="RuntimeDefault").splitlines()[1] == "#include <tunables/global>"


def test_runtime_default() -> None:
    rules = _rules(_text(mode="RuntimeDefault"))
    assert {"network,", "capability,", "file,", "umount,", "deny mount,"} <= set(rules)
    assert "signal (send,receive) peer=varmor-default-web," in rules
    assert "mount," not in rules
    assert not any(rule.startswith("audit") for rule in rules)


def test_always_allow() -> None:
    rules = _rules(_text(mode="AlwaysAllow"))
    assert {"mount,", "pivot_root,", "ptrace,", "signal,", "dbus,", "unix,"} <= set(rules)
    assert not any("deny" in rule for rule in rules)


def test_refuse_in_silence() -> None:
    rules = _rules(_text(**RULES))
    assert {"deny mount,", "deny capability net_raw,", "deny /etc/ w,", "deny /etc/** wl,"} <= set(rules)
    assert not any("audit" in rule or "userns" in rule for rule in rules)


def test_refuse_and_record() -> None:
    rules = _rules(_text(**RULES, auditViolations=True))
    assert "audit deny /etc/** wl," in rules
    assert "audit deny @{PROC}/sys/{[^k]**,k,k[^e]**,ke,ke[^r]**} w," in rules
    assert not any(rule.startswith("deny") for rule in rules)


def test_observe() -> None:
    rules = _rules(_text(**RULES, auditViolations=True, allowViolations=True))
    assert "audit /etc/** wl," in rules
    assert any(rule.startswith("audit /{,**/}{sh,bash,") and rule.endswith(" rix,") for rule in rules)
    assert "audit capability net_raw," in rules
    # The runtime default stays refused.
    assert "audit deny mount," in rules
    assert "audit deny @{PROC}/kcore rwklx," in rules


def test_allow_in_silence() -> None:
    assert _rules(_text(**RULES, allowViolations=True)) == _rules(_text(mode="RuntimeDefault"))


def test_privileged() -> None:
    rules = _rules(_text(**RULES, privileged=True))
    assert "pivot_root," in rules
    assert "deny mount," in rules
    assert not any("@{PROC}" in rule for rule in rules)


def test_raw_rules_stand_last_and_verbatim() -> None:
    text = _text(appArmorRawRules=[{"rules": "  deny /a w,\n    deny /b{c,d} r,\n"}, {"rules": "deny /e x,"}])
    assert text.endswith(
        "\n\n  # appArmorRawRules[0]\n  deny /a w,\n    deny /b{c,d} r,\n\n  # appArmorRawRules[1]\n  deny /e x,\n}\n"
    )


def test_the_same_policy_gives_the_same_text() -> None:
    assert _text(**RULES) == _text(**RULES)

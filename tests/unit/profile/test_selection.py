# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import policy, profile
from varmor.catalog.loader import load
from varmor.errors import PolicyError
from varmor.policy.types import Enforcer
from varmor.profile.selection import select_rules
from varmor.profile.types import NodeFacts, NoEffect


def test_aliases_spellings_and_repetitions() -> None:
    chosen = policy(
        hardeningRules=["DISALLOW_MOUNT", "disallow-mount"],
        attackProtectionRules=[{"rules": ["disallow-metadata-service"]}],
    )
    notes: list[NoEffect] = []
    names = [item.rule.name for item in select_rules(chosen, load(), notes)]
    assert names == ["disallow-mount", "block-access-to-metadata-service"]
    assert notes == []


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        (
            {"hardeningRules": ["disalow-mount"]},
            "hardeningRules[0]",
            "unknown rule 'disalow-mount' (did you mean 'disallow-mount'?)",
        ),
        ({"hardeningRules": ["xyzzy"]}, "hardeningRules[0]", "unknown rule 'xyzzy'"),
        ({"hardeningRules": ["disable-shell"]}, "hardeningRules[0]", "belongs to attackProtectionRules, not here"),
        (
            {"attackProtectionRules": [{"rules": ["disable-shell", "disallow-mount"]}]},
            "attackProtectionRules[0].rules[1]",
            "belongs to hardeningRules",
        ),
        (
            {"enforcer": "AppArmor", "vulMitigationRules": ["dirty-pipe-mitigation"]},
            "vulMitigationRules[0]",
            "the rule 'dirty-pipe-mitigation' cannot be expressed by AppArmor; add Seccomp to spec.policy.enforcer",
        ),
        (
            {"enforcer": "Seccomp", "hardeningRules": ["disable-cap-net-raw"]},
            "hardeningRules[0]",
            "cannot be expressed by Seccomp; add AppArmor or BPF",
        ),
        (
            {"enforcer": "AppArmor", "hardeningRules": ["disallow-create-user-ns"]},
            "hardeningRules[0]",
            "(AppArmor needs apparmor_parser 4.0, found 3.0); add BPF or Seccomp",
        ),
        (
            {"attackProtectionRules": [{"rules": ["disable-shell"], "targets": ["/bin/x"]}]},
            "attackProtectionRules[0].targets",
            "rules for single executables (targets) are not built yet",
        ),
        (
            {"appArmorRawRules": [{"rules": "deny /x w,", "targets": ["/bin/x"]}]},
            "appArmorRawRules[0].targets",
            "rules for single executables (targets) are not built yet",
        ),
    ],
)
def test_refused(values: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        profile(**values)
    assert words in caught.value.problem
    assert caught.value.field == f"spec.policy.enhanceProtect.{field}"
    assert caught.value.subject == "VarmorPolicy default/web"


def test_unknown_rules_are_found_in_every_mode() -> None:
    with pytest.raises(PolicyError, match="unknown rule"):
        profile(mode="RuntimeDefault", hardeningRules=["nonsense"])


def test_a_rule_that_one_of_several_enforcers_can_express_is_not_worth_a_word() -> None:
    assert profile(enforcer="AppArmorBPF", hardeningRules=["disable-cap-net-raw"]).no_effect == ()


def test_a_newer_parser_expresses_more() -> None:
    facts = NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"))
    text = profile(facts, enforcer="AppArmor", hardeningRules=["disallow-create-user-ns"]).apparmor
    assert text is not None
    assert "abi <abi/4.0>,\n" in text
    assert "  deny userns,\n" in text
    assert "  userns,\n" in text


def test_what_the_node_lacks_is_said() -> None:
    facts = NodeFacts(enforcers=Enforcer.APPARMOR)
    made = profile(
        facts,
        enforcer="AppArmorBPF",
        hardeningRules=["disallow-mount"],
        attackProtectionRules=[{"rules": ["block-access-to-metadata-service"]}],
    )
    assert made.bpf is None
    assert made.apparmor is not None
    assert {note.field: note.message for note in made.no_effect} == {
        "spec.policy.enforcer": "BPF is not available on this node: its part of the policy does nothing",
        "spec.policy.enhanceProtect.attackProtectionRules[0].rules[0]": (
            "block-access-to-metadata-service is not enforced: it needs BPF, which this node has not got"
        ),
    }


def test_targets_without_apparmor_do_nothing_and_say_so() -> None:
    made = profile(enforcer="BPF", attackProtectionRules=[{"rules": ["disable-shell"], "targets": ["/bin/x"]}])
    assert [note.field for note in made.no_effect] == ["spec.policy.enhanceProtect.attackProtectionRules[0].targets"]
    assert made.bpf is not None
    assert all(path.origin == "runtime-default" for path in made.bpf.paths)

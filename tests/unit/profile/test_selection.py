# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import policy, profile
from varmor.catalog.loader import load
from varmor.catalog.types import AppArmorForm, BpfForm, Rule, RuleList, SyscallForm
from varmor.errors import PolicyError
from varmor.policy.types import Enforcer
from varmor.profile.bpf import BpfBuilder
from varmor.profile.selection import Reaction, Selected, check_expressible, select_rules
from varmor.profile.types import BpfProfile, NodeFacts, NoEffect


def test_aliases_spellings_and_repetitions() -> None:
    chosen = policy(
        hardeningRules=["DISALLOW_MOUNT", "disallow-mount"],
        attackProtectionRules=[{"rules": ["disallow-metadata-service"]}],
    )
    notes: list[NoEffect] = []
    names = [item.rule.name for item in select_rules(chosen, load(), notes)]
    assert names == ["disallow-mount", "block-access-to-metadata-service"]
    assert [note.message for note in notes] == []


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
            "the rule 'dirty-pipe-mitigation' cannot be expressed by AppArmor (",
        ),
        (
            {"enforcer": "Seccomp", "hardeningRules": ["disable-cap-all"]},
            "hardeningRules[0]",
            "; add AppArmor or BPF to spec.policy.enforcer",
        ),
        (
            {"attackProtectionRules": [{"rules": ["disable-shell"], "targets": ["/bin/a", "/bin/*"]}]},
            "attackProtectionRules[0].targets[1]",
            "'/bin/*' is a pattern; expected the full path of one program",
        ),
        (
            {"attackProtectionRules": [{"rules": ["disable-shell"], "targets": ["/usr/../bin/a"]}]},
            "attackProtectionRules[0].targets[0]",
            "is not the path of a program",
        ),
        (
            {"appArmorRawRules": [{"rules": "deny /x w,", "targets": ["/bin/"]}]},
            "appArmorRawRules[0].targets[0]",
            "is not the path of a program",
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
    facts = NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"), kernel=(6, 12))
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


@pytest.mark.parametrize("enforcer", ["AppArmor", "BPF", "AppArmorBPF"])
def test_targets_are_honoured(enforcer: str) -> None:
    groups = [{"rules": ["disable-shell"], "targets": ["/bin/x", "/bin/x"]}]
    made = profile(enforcer=enforcer, attackProtectionRules=groups)
    assert [note.field for note in made.no_effect] == [
        "spec.policy.enhanceProtect.attackProtectionRules[0].targets[1]"
    ], "a repeated target is told"
    assert made.bpf is None or [item.executables[0] for item in made.bpf.executables] == ["/bin/x"]


def _rule(**forms: Any) -> Rule:
    return Rule("r", RuleList.ATTACK_PROTECTION, summary="s", attack="a", breaks="b", **forms)


_SYSCALL = (SyscallForm(("splice",)),)
_BPF = BpfForm(switches=("userns_create",), kernel=(6, 7))
_APPARMOR = AppArmorForm(("userns",), parser=(4, 0))


def _checked(rule: Rule, facts: NodeFacts | None = None, targets: tuple[str, ...] = (), **values: Any) -> list[str]:
    notes: list[NoEffect] = []
    check_expressible(policy(**values), (Selected(rule, "here", targets),), facts or NodeFacts(), notes)
    return [note.message for note in notes]


def test_seccomp_cannot_tell_executables_apart() -> None:
    with pytest.raises(PolicyError, match=r"seccomp cannot tell them apart; add BPF to spec\.policy\.enforcer"):
        _checked(_rule(seccomp=_SYSCALL, bpf=_BPF), targets=("/bin/x",), enforcer="Seccomp")
    with pytest.raises(PolicyError, match=r"seccomp cannot tell them apart$"):
        _checked(_rule(seccomp=_SYSCALL), targets=("/bin/x",), enforcer="AppArmorSeccomp")
    both = _rule(seccomp=_SYSCALL, apparmor=AppArmorForm(("mount",)))
    assert _checked(both, targets=("/bin/x",), enforcer="AppArmorSeccomp") == [
        "seccomp cannot tell executables apart: its part of r is left out"
    ]
    assert _checked(both, enforcer="AppArmorSeccomp") == []


def test_the_catalogs_reason_is_told() -> None:
    rule = _rule(seccomp=_SYSCALL, cannot=((Enforcer.BPF, "splice(2) has no hook"), (Enforcer.APPARMOR, "no word")))
    with pytest.raises(PolicyError, match=r"cannot be expressed by BPF \(splice\(2\) has no hook\); add Seccomp"):
        _checked(rule, enforcer="BPF")


@pytest.mark.parametrize(
    ("enforcer", "facts", "words"),
    [
        ("AppArmor", NodeFacts(), "AppArmor needs apparmor_parser 4.0, found 3.0; add Seccomp to spec.policy.enforcer"),
        ("BPF", NodeFacts(), "BPF needs Linux 6.7, found 6.1; add Seccomp to spec.policy.enforcer"),
        ("AppArmorBPF", NodeFacts(), "AppArmor needs apparmor_parser 4.0, found 3.0; BPF needs Linux 6.7, found 6.1"),
        ("BPF", NodeFacts(kernel=(6, 12)), ""),
        ("BPFSeccomp", NodeFacts(), ""),
        (
            "BPF",
            NodeFacts(kernel=(6, 12), enforcers=Enforcer.SECCOMP),
            "it needs BPF, which this node has not got; add Seccomp to spec.policy.enforcer",
        ),
        (
            "AppArmorBPF",
            NodeFacts(enforcers=Enforcer.APPARMOR),
            "it needs BPF, which this node has not got; AppArmor needs apparmor_parser 4.0, found 3.0",
        ),
    ],
)
def test_what_this_node_cannot_enforce_is_told(enforcer: str, facts: NodeFacts, words: str) -> None:
    found = _checked(_rule(seccomp=_SYSCALL, apparmor=_APPARMOR, bpf=_BPF), facts, enforcer=enforcer)
    assert all(words in message for message in found)
    assert bool(found) == bool(words)


def test_an_older_kernel_leaves_the_form_out() -> None:
    builder = BpfBuilder(NodeFacts(kernel=(6, 1)))
    builder.add_selected([Selected(_rule(bpf=_BPF), "here")], Reaction(deny=True, audit=False))
    assert builder.build() == BpfProfile()


def test_a_rule_for_all_makes_its_targets_idle() -> None:
    made = profile(
        enforcer="BPF",
        attackProtectionRules=[{"rules": ["disable-shell"]}, {"rules": ["disable-shell"], "targets": ["/bin/x"]}],
    )
    assert [note.message for note in made.no_effect] == ["disable-shell holds for the whole workload already"]
    assert made.bpf is not None
    assert made.bpf.executables == ()

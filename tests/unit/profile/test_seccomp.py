# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.unit.manifests import profile
from varmor.errors import PolicyError
from varmor.profile import seccomp_names
from varmor.profile.seccomp import fallback_syscalls, refusal_of
from varmor.profile.seccomp_simulate import verdict
from varmor.profile.types import NodeFacts, Profile

NEWUSER = 0x10000000
RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disallow-create-user-ns"],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
}


def _profile(facts: NodeFacts | None = None, **values: Any) -> Profile:
    return profile(facts, enforcer="Seccomp", **values)


def _filter(facts: NodeFacts | None = None, **values: Any) -> dict[str, Any]:
    made = _profile(facts, **values).seccomp
    assert made is not None
    return made


def test_refuse() -> None:
    made = _filter(**RULES)
    assert made["defaultAction"] == "SCMP_ACT_ALLOW"
    assert "flags" not in made
    for name in (
        "mount",
        "move_mount",
        "fsopen",
        "fsmount",
        "open_tree",
        "mount_setattr",
        "fsconfig",
        "fspick",
        "splice",
    ):
        assert verdict(made, name).errno == 1
    assert verdict(made, "read").name == "SCMP_ACT_ALLOW"
    assert verdict(made, "unshare", [NEWUSER]).name == "SCMP_ACT_ERRNO"
    assert verdict(made, "unshare", [0x20000]).name == "SCMP_ACT_ALLOW"
    assert verdict(made, "clone", [NEWUSER | 17]).name == "SCMP_ACT_ERRNO"
    assert verdict(made, "clone", [17]).name == "SCMP_ACT_ALLOW"
    assert verdict(made, "clone3").errno == 38
    assert verdict(made, "umount2").name == "SCMP_ACT_ALLOW"
    assert fallback_syscalls(made) == {"clone3"}


def test_refuse_and_record() -> None:
    assert _filter(**RULES, auditViolations=True)["flags"] == ["SECCOMP_FILTER_FLAG_LOG"]


@pytest.mark.parametrize(
    ("name", "first", "rule"),
    [
        ("mount", 0, "disallow-mount"),
        ("clone", NEWUSER | 17, "disallow-create-user-ns"),
        ("clone", 17, ""),
        ("clone3", 0, ""),
        ("ptrace", 16, "syscallRawRules[0]"),
        ("ptrace", 0, "syscallRawRules[0]"),
        ("ptrace", 1, ""),
        ("chmod", 0, ""),
    ],
)
def test_refusals_that_are_recorded(name: str, first: int, rule: str) -> None:
    alternatives = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (0, 16)]
    raw = [
        {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "args": alternatives},
        {"names": ["chmod"], "action": "SCMP_ACT_LOG"},
    ]
    made = _profile(**RULES, syscallRawRules=raw, auditViolations=True)
    found = refusal_of(made.refused_syscalls, name, (first, 0, 0, 0, 0, 0))
    assert (found.origin if found else "") == rule


def test_only_the_wish_for_records_lists_refusals() -> None:
    assert _profile(**RULES).refused_syscalls == ()
    assert _profile(**RULES, auditViolations=True, allowViolations=True).refused_syscalls == ()


def test_observe() -> None:
    compiled = _profile(**RULES, auditViolations=True, allowViolations=True)
    made = compiled.seccomp
    assert made is not None
    assert verdict(made, "mount").name == "SCMP_ACT_LOG"
    assert verdict(made, "unshare", [NEWUSER]).name == "SCMP_ACT_LOG"
    assert verdict(made, "clone3").name == "SCMP_ACT_ALLOW"
    assert "seccomp cannot observe disallow-create-user-ns by clone3" in {note.message for note in compiled.no_effect}


def test_allow_in_silence_blocks_nothing() -> None:
    compiled = _profile(**RULES, allowViolations=True)
    assert compiled.seccomp is None
    assert any("neither refuse nor record" in note.message for note in compiled.no_effect)


@pytest.mark.parametrize("mode", ["AlwaysAllow", "RuntimeDefault"])
def test_other_modes_leave_the_runtime_alone(mode: str) -> None:
    compiled = _profile(mode=mode)
    assert compiled.seccomp is None
    assert any("the runtime's own filter stays" in note.message for note in compiled.no_effect)


@pytest.mark.parametrize(
    ("machine", "architectures"),
    [
        ("x86_64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
        ("aarch64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        ("riscv64", None),
    ],
)
def test_architectures(machine: str, architectures: list[str] | None) -> None:
    assert _filter(NodeFacts(machine=machine), **RULES).get("architectures") == architectures


def test_the_order_of_rules_does_not_matter() -> None:
    names = ["disallow-mount", "disallow-create-user-ns"]
    made = [_filter(hardeningRules=list(order)) for order in itertools.permutations(names)]
    assert made[0] == made[1]


def _raw(**values: Any) -> dict[str, Any]:
    return {"syscallRawRules": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO", **values}]}


def test_raw_rules() -> None:
    made = _filter(
        hardeningRules=["disallow-mount"],
        syscallRawRules=[
            {"names": ["mount", "chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            _personality("SCMP_ACT_KILL_PROCESS", 8),
            {"names": ["personality"], "action": "SCMP_ACT_LOG"},
        ],
    )
    assert verdict(made, "chmod").errno == 13
    assert verdict(made, "mount").errno == 1
    assert verdict(made, "personality", [7]).name == "SCMP_ACT_LOG"
    assert verdict(made, "personality", [8]).name == "SCMP_ACT_KILL_PROCESS"


def _personality(action: str, *values: int) -> dict[str, Any]:
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in values]
    return {"names": ["personality"], "action": action, "args": args}


def test_two_conditions_on_one_argument_are_two_entries() -> None:
    made = _filter(syscallRawRules=[_personality("SCMP_ACT_ERRNO", 8, 9)])
    assert [entry["args"] for entry in made["syscalls"]] == [
        [{"index": 0, "value": 0xFFFFFFFF, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": value}] for value in (8, 9)
    ]


def test_an_overlap_that_cannot_be_said_is_noted() -> None:
    # "Neither 8 nor 9" would compare one argument, as wide as a register, twice.
    args = [{"index": 1, "value": value, "op": "SCMP_CMP_EQ"} for value in (8, 9)]
    compiled = _profile(
        syscallRawRules=[
            {"names": ["prctl"], "action": "SCMP_ACT_ERRNO", "args": args},
            {"names": ["prctl"], "action": "SCMP_ACT_LOG"},
        ]
    )
    assert any("prctl: the conditions of several rules overlap" in note.message for note in compiled.no_effect)
    assert compiled.seccomp is not None
    assert verdict(compiled.seccomp, "prctl", [0, 9]).name == "SCMP_ACT_ERRNO"


def test_an_overlap_within_32_bits_can_be_said() -> None:
    compiled = _profile(
        syscallRawRules=[
            _personality("SCMP_ACT_ERRNO", 8, 9),
            {"names": ["personality"], "action": "SCMP_ACT_LOG"},
        ]
    )
    assert compiled.no_effect == ()
    assert compiled.seccomp is not None
    for value, action in ((8, "ERRNO"), (9, "ERRNO"), (10, "LOG"), (1 << 32 | 9, "ERRNO"), (1 << 32, "LOG")):
        assert verdict(compiled.seccomp, "personality", [value]).name == f"SCMP_ACT_{action}"


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"names": ["chmodd"]}, "names[0]", "unknown syscall 'chmodd' (did you mean 'chmod'?)"),
        ({"names": ["chmod", "no such"]}, "names[1]", "unknown syscall 'no such'"),
        ({"action": "SCMP_ACT_DENY"}, "action", "unknown action 'SCMP_ACT_DENY'; expected one of"),
        ({"action": "SCMP_ACT_NOTIFY"}, "action", "needs a listener"),
        ({"action": "SCMP_ACT_LOG", "errnoRet": 1}, "errnoRet", "SCMP_ACT_LOG returns no number"),
        ({"args": [{"index": 0, "value": 1, "op": "EQ"}]}, "args[0].op", "unknown operator 'EQ'"),
        (
            {"args": [{"index": 0, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_EQ"}]},
            "args[0].valueTwo",
            "compares with value alone",
        ),
        (
            {"args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
            "args[0].valueTwo",
            "0x2 has bits outside the mask 0x1, so the comparison is never true",
        ),
    ],
)
def test_refused(values: dict[str, Any], field: str, words: str) -> None:
    for enforcer in ("Seccomp", "BPF"):
        with pytest.raises(PolicyError) as caught:
            profile(enforcer=enforcer, **_raw(**values))
        assert caught.value.field == f"spec.policy.enhanceProtect.syscallRawRules[0].{field}"
        assert words in caught.value.problem


def test_raw_allow_does_nothing_and_says_so() -> None:
    compiled = _profile(hardeningRules=["disallow-mount"], **_raw(action="SCMP_ACT_ALLOW"))
    assert any("SCMP_ACT_ALLOW does nothing" in note.message for note in compiled.no_effect)


def test_calls_of_other_architectures_are_known() -> None:
    assert seccomp_names.is_known("socketcall")
    assert "openat" in seccomp_names.names()


def test_a_missing_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp_names, "_MODULES", ("no_such_module",))
    seccomp_names._library.cache_clear()
    try:
        with pytest.raises(seccomp_names.SeccompLibraryError, match="install the Debian package python3-seccomp"):
            _filter(**_raw())
        _filter(hardeningRules=["disallow-mount"])
    finally:
        monkeypatch.undo()
        seccomp_names._library.cache_clear()

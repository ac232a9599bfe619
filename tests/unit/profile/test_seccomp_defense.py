# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.manifests import manifest
from tests.unit.profile.seccomp_bpf import build
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.profile.seccomp import refusal_of
from varmor.profile.seccomp_defense import (
    RUNTIME_CALLS,
    defense_filter,
    defense_refusals,
    modeling_filter,
    unit_allow_list,
    unit_error_number,
)
from varmor.profile.seccomp_simulate import simulate, verdict
from varmor.profile.selection import Reaction
from varmor.profile.types import NodeFacts, NoEffect

REFUSE = Reaction(deny=True, audit=True)
OBSERVE = Reaction(deny=False, audit=True)
CUSTOM: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "syscalls": [
        {"names": ["read", "write", "brk", "chmod"], "action": "SCMP_ACT_ALLOW"},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
        },
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["bpf"], "action": "SCMP_ACT_KILL_PROCESS"},
    ],
}


def _made(
    source: Any = CUSTOM, reaction: Reaction = REFUSE, raw: list[dict[str, Any]] | None = None, **values: Any
) -> tuple[dict[str, Any], list[NoEffect]]:
    document = manifest(enforcer="Seccomp", mode="DefenseInDepth")
    part = {"profileType": "Custom", "customProfile": json.dumps(CUSTOM), "syscallRawRules": raw or []}
    document["spec"]["policy"]["defenseInDepth"] = {"seccomp": part}
    notes: list[NoEffect] = []
    return defense_filter(parse_object(document, "test"), source, NodeFacts(), reaction, notes, **values), notes


def test_the_rest_is_refused() -> None:
    made, notes = _made()
    assert notes == []
    assert made["flags"] == ["SECCOMP_FILTER_FLAG_LOG"]
    assert not verdict(made, "brk").denies
    assert not verdict(made, "personality", [8]).denies
    assert verdict(made, "personality", [9]).errno == 1
    assert verdict(made, "ptrace").errno == 1
    assert verdict(made, "clone3").errno == 38
    assert verdict(made, "bpf").name == "SCMP_ACT_KILL_PROCESS"
    assert build(made)
    assert _made(json.dumps(CUSTOM)) == (made, notes)


def test_a_container_gets_what_its_runtime_needs() -> None:
    made, _ = _made()
    assert not any(verdict(made, name).denies for name in RUNTIME_CALLS)
    assert not verdict(made, "prctl", [24]).denies
    assert verdict(made, "prctl", [4]).denies
    unit, _ = _made(container=False)
    assert verdict(unit, "execve").denies


def test_a_profile_in_the_runtimes_way_is_told() -> None:
    source = {**CUSTOM, "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_KILL"}]}
    made, notes = _made(source)
    assert verdict(made, "execve").denies
    assert [note.message.split(":")[1] for note in notes] == [
        " execve; if containers do not start, allow them",
    ]


def test_observe() -> None:
    made, notes = _made(reaction=OBSERVE, raw=[{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}])
    assert made["defaultAction"] == "SCMP_ACT_LOG"
    for name, action in (("ptrace", "LOG"), ("bpf", "LOG"), ("clone3", "ALLOW"), ("brk", "ALLOW"), ("chmod", "ERRNO")):
        assert verdict(made, name).name == f"SCMP_ACT_{action}"
    assert any("they still deny" in note.message for note in notes)


def test_raw_rules_refuse_and_allow() -> None:
    raw: list[dict[str, Any]] = [
        {"names": ["chmod", "getuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW"},
    ]
    made, _ = _made(raw=raw)
    assert verdict(made, "chmod").errno == 13
    assert not verdict(made, "ptrace").denies
    assert verdict(made, "bpf").denies
    assert simulate(made, "getuid32", arch="SCMP_ARCH_X86").action.errno == 13


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"])
def test_the_default_is_forced_and_that_is_told(default: str) -> None:
    made, notes = _made({**CUSTOM, "defaultAction": default})
    assert (made["defaultAction"], made["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert f"defaultAction {default} does nothing here" in notes[0].message


def test_unread_bits_open_nothing() -> None:
    entry = {
        "names": ["socket"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}],
    }
    made, notes = _made({**CUSTOM, "syscalls": [entry]})
    assert verdict(made, "socket", [1 << 32 | 40]).denies
    assert not verdict(made, "socket", [2]).denies
    assert any("socket: 32-bit programs reach these calls by socketcall" in note.message for note in notes)
    refused = {
        "names": ["socket"],
        "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}],
    }
    made, notes = _made({**CUSTOM, "syscalls": [entry]}, raw=[refused])
    assert "SCMP_ARCH_X86" not in made["architectures"]
    assert any("leaves SCMP_ARCH_X86 out" in note.message for note in notes)


def test_a_wrong_profile_names_its_place() -> None:
    with pytest.raises(PolicyError, match=r"defenseInDepth.seccomp.customProfile: \$.defaultAction: found 'NO'"):
        _made({"defaultAction": "NO"})
    with pytest.raises(PolicyError, match=r"defenseInDepth.seccomp.syscallRawRules\[0\].names\[0\]: unknown syscall"):
        _made(raw=[{"names": ["chmodd"], "action": "SCMP_ACT_ERRNO"}])


def test_refusals_by_the_default_are_known() -> None:
    known = defense_refusals(_made()[0])
    for name, first, refused in (
        ("ptrace", 0, True),
        ("bpf", 0, True),
        ("brk", 0, False),
        ("personality", 9, True),
        ("personality", 8, False),
        ("clone3", 0, False),
    ):
        found = refusal_of(known, name, (first, 0, 0, 0, 0, 0))
        assert (found is not None) is refused
    assert defense_refusals(modeling_filter(NodeFacts())) == ()


def test_modeling() -> None:
    made = modeling_filter(NodeFacts())
    assert verdict(made, "openat2").name == "SCMP_ACT_ALLOW"
    assert verdict(made, "mount").name == "SCMP_ACT_LOG"
    assert made["architectures"][0] == "SCMP_ARCH_X86_64"
    assert "architectures" not in modeling_filter(NodeFacts(machine="riscv64"))


def test_units() -> None:
    made, _ = _made(container=False)
    names, notes = unit_allow_list(made)
    assert set(names) == {"read", "write", "brk", "chmod", "personality"}
    assert "personality are allowed whole" in notes[0]
    assert unit_error_number(made) == "EPERM"
    with pytest.raises(ValueError, match="does not refuse by default"):
        unit_allow_list(modeling_filter(NodeFacts()))

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.manifests import profile
from tests.unit.profile.seccomp_bpf import build, returned, run
from tests.unit.profile.test_seccomp_condition import args_strategy, points
from varmor.profile.seccomp_merge import SeccompProfileError, merge
from varmor.profile.seccomp_simulate import simulate, verdict

NEWUSER = 0x10000000

# The shape of the default filter of containerd and Docker, shortened.
RUNTIME: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "syscalls": [
        {"names": ["read", "write", "splice", "futex", "clone3x"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        {
            "names": ["clone"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
        },
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["unshare", "mount"], "action": "SCMP_ACT_ALLOW"},
    ],
}


def _ours(**values: Any) -> dict[str, Any]:
    made = profile(enforcer="Seccomp", **values).seccomp
    assert made is not None
    return made


def test_with_the_runtime_default() -> None:
    ours = _ours(
        hardeningRules=["disallow-mount", "disallow-create-user-ns"],
        vulMitigationRules=["dirty-pipe-mitigation"],
        auditViolations=True,
    )
    base = copy.deepcopy(RUNTIME)
    merged, notes = merge(base, ours)
    assert base == RUNTIME
    assert notes == []
    assert merged["flags"] == ["SECCOMP_FILTER_FLAG_LOG"]
    assert merged["architectures"] == RUNTIME["architectures"]
    assert verdict(merged, "read").name == "SCMP_ACT_ALLOW"
    assert verdict(merged, "splice").name == "SCMP_ACT_ERRNO"
    assert verdict(merged, "mount").name == "SCMP_ACT_ERRNO"
    assert verdict(merged, "unshare", [NEWUSER]).name == "SCMP_ACT_ERRNO"
    assert verdict(merged, "unshare", [0x20000]).name == "SCMP_ACT_ALLOW"
    assert verdict(merged, "clone", [17]).name == "SCMP_ACT_ALLOW"
    assert verdict(merged, "clone", [NEWUSER]).name == "SCMP_ACT_ERRNO"
    assert verdict(merged, "clone3").errno == 38
    assert verdict(merged, "personality", [8]).name == "SCMP_ACT_ALLOW"
    assert verdict(merged, "personality", [9]).name == "SCMP_ACT_ERRNO"
    allowed = {name for entry in merged["syscalls"] for name in entry["names"]}
    assert "fsopen" not in allowed  # refused by the base's default already


def test_observation_records_what_the_base_allows_and_allows_nothing_more() -> None:
    ours = _ours(
        hardeningRules=["disallow-mount"],
        vulMitigationRules=["dirty-pipe-mitigation"],
        auditViolations=True,
        allowViolations=True,
    )
    merged, _ = merge(RUNTIME, ours)
    assert verdict(merged, "splice").name == "SCMP_ACT_LOG"
    assert verdict(merged, "fsopen").name == "SCMP_ACT_ERRNO"


def test_without_a_base() -> None:
    ours = _ours(hardeningRules=["disallow-mount"])
    bases: tuple[dict[str, Any] | None, ...] = (None, {})
    for base in bases:
        merged, notes = merge(base, ours)
        assert merged == ours
        assert merged is not ours
        assert notes == []


def test_no_architectures_in_the_base_means_native_only() -> None:
    base: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW"}
    merged, _ = merge(base, _ours(hardeningRules=["disallow-mount"]))
    assert "architectures" not in merged


def _prctl(index: int, value: int, operator: str, action: str) -> dict[str, Any]:
    args = [{"index": index, "value": value, "op": f"SCMP_CMP_{operator}"}]
    return {"names": ["prctl"], "action": f"SCMP_ACT_{action}", "args": args}


def test_what_cannot_be_said_is_refused_and_reported() -> None:
    base = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [_prctl(1, 9, "NE", "ALLOW")]}
    merged, notes = merge(base, _ours(syscallRawRules=[_prctl(1, 5, "EQ", "ERRNO")]))
    assert [note.field for note in notes] == ["linux.seccomp"]
    assert "prctl: the conditions of several rules overlap" in notes[0].message
    for value in (4, 5, 9):
        assert verdict(merged, "prctl", [0, value]).name == "SCMP_ACT_ERRNO"


def test_within_32_bits_all_can_be_said() -> None:
    base = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [_prctl(0, 9, "NE", "ALLOW")]}
    merged, notes = merge(base, _ours(syscallRawRules=[_prctl(0, 5, "EQ", "ERRNO")]))
    assert notes == []
    for value in (5, 9, 1 << 32 | 5, 1 << 32 | 9):
        assert verdict(merged, "prctl", [value]).denies
    assert not verdict(merged, "prctl", [4]).denies


# What container runtimes say of sockets: anything but AF_VSOCK.
_SOCKETS: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "syscalls": [
        {"names": ["read", "socketcall", "connect"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
    ],
}


def _socket_rule(*values: int) -> dict[str, Any]:
    args = [{"index": index, "value": value, "op": "SCMP_CMP_EQ"} for index, value in enumerate(values)]
    return {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": args}


def test_a_refusal_of_some_sockets_leaves_the_others() -> None:
    merged, notes = merge(_SOCKETS, _ours(syscallRawRules=[_socket_rule(2, 1, 6), _socket_rule(2, 1, 0)]))
    program = build(merged)
    refused = [(2, 1, 0), (2, 1, 6), (2 + (1 << 32), 1, 6), (40, 1, 0), (40 + (1 << 32), 1, 0)]
    for point in [*refused, (2, 2, 17), (1, 1, 0), (10, 1, 6), (38, 5, 0)]:
        assert simulate(merged, "socket", point).action.denies == (point in refused)
        assert (run(program, "SCMP_ARCH_X86_64", 41, point) == returned("SCMP_ACT_ALLOW", None)) == (
            point not in refused
        )
    # socketcall hides the arguments, and libseccomp would open it for what the base allows in part.
    assert merged["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]
    assert "leaves SCMP_ARCH_X86 out" in notes[0].message


def test_a_whole_refusal_closes_socketcall_for_this_call_alone() -> None:
    ours = _ours(syscallRawRules=[{"names": ["socket"], "action": "SCMP_ACT_ERRNO"}])
    merged, notes = merge(_SOCKETS, ours)
    assert notes == []
    program = build(merged)
    for filtered, made in ((merged, program), (ours, build(ours))):
        for number, denied in ((1, True), (3, False)):
            assert simulate(filtered, "socketcall", [number], arch="SCMP_ARCH_X86").action.denies is denied
            allowed = run(made, "SCMP_ARCH_X86", 102, [number]) == returned("SCMP_ACT_ALLOW", None)
            assert allowed is not denied


@pytest.mark.parametrize(
    "base",
    [
        {"defaultAction": "SCMP_ACT_WHATEVER"},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"]}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": ["a"]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{}]}]},
    ],
)
def test_malformed_base(base: dict[str, Any]) -> None:
    with pytest.raises(SeccompProfileError, match=r"linux\.seccomp: not a seccomp profile"):
        merge(base, _ours(hardeningRules=["disallow-mount"]))


def _entry(name: str, action: str, args: tuple[Any, ...]) -> dict[str, Any]:
    shown = [{"index": arg.index, "value": arg.value, "valueTwo": arg.value_two, "op": arg.op} for arg in args]
    return {"names": [name], "action": action, "args": shown}


def _profiles(defaults: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    actions = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"]
    entry = st.builds(_entry, st.sampled_from(["clone", "mount"]), st.sampled_from(actions), args_strategy())
    return st.builds(
        lambda default, entries: {"defaultAction": default, "syscalls": entries},
        st.sampled_from(defaults),
        st.lists(entry, max_size=4),
    )


@settings(max_examples=400)
@given(
    _profiles(["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"]),
    _profiles(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"]),
    st.sampled_from(["clone", "mount", "read"]),
    points,
)
def test_the_strictest_of_both(base: dict[str, Any], ours: dict[str, Any], name: str, point: tuple[int, ...]) -> None:
    merged, notes = merge(base, ours)
    wanted = max(verdict(base, name, point), verdict(ours, name, point), key=lambda action: action.strictness)
    found = verdict(merged, name, point)
    if wanted.denies:
        assert found.denies
    if not notes and not (wanted.denies and found.denies):  # how a call is refused may change, that it is may not
        assert found.strictness == wanted.strictness

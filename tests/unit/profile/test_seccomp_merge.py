# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.manifests import profile
from tests.unit.profile.test_seccomp_condition import args_strategy, points
from varmor.profile.seccomp_merge import SeccompProfileError, merge
from varmor.profile.seccomp_simulate import verdict

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


def test_what_cannot_be_said_is_refused_and_reported() -> None:
    base: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["prctl"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 9, "op": "SCMP_CMP_NE"}]}
        ],
    }
    ours = _ours(
        syscallRawRules=[
            {"names": ["prctl"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]}
        ]
    )
    merged, notes = merge(base, ours)
    assert [note.field for note in notes] == ["linux.seccomp"]
    assert "prctl: the conditions of several rules overlap" in notes[0].message
    for value in (5, 9, 1 << 32 | 5):
        assert verdict(merged, "prctl", [value]).name == "SCMP_ACT_ERRNO"


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
    if not notes:
        assert found.strictness == wanted.strictness

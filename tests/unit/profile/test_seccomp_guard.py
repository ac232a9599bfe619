# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.profile.seccomp_bpf import build, returned, run
from varmor.profile.seccomp_guard import guard

_CONDITION = {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}


def _profile(default: str = "SCMP_ACT_ALLOW", *names: str) -> dict[str, Any]:
    action = "SCMP_ACT_ERRNO" if default == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW"
    return {
        "defaultAction": default,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": list(names) or ["setuid32"], "action": action},
            {"names": ["personality"], "action": action, "args": [_CONDITION]},
        ],
    }


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"])
def test_rules_are_judged_by_the_calls_number(default: str) -> None:
    made = _profile(default)
    guard(made)
    other = "SCMP_ACT_ERRNO" if default == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW"
    program = build(made)
    assert run(program, "SCMP_ARCH_X86_64", 135, [8]) == returned(other, None)
    assert run(program, "SCMP_ARCH_X86_64", 135, [9]) == returned(default, None)
    assert run(program, "SCMP_ARCH_X86", 213, [0]) == returned(other, None)


@pytest.mark.parametrize("names", [("setuid", "setuid32"), ("mount",)])
def test_nothing_is_added_where_a_call_of_x86_64_comes_first(names: tuple[str, ...]) -> None:
    made = _profile("SCMP_ACT_ALLOW", *names)
    before = list(made["syscalls"])
    guard(made)
    assert made["syscalls"] == before


def test_nothing_is_added_without_x32_or_twice() -> None:
    made = _profile()
    guard(made)
    once = list(made["syscalls"])
    guard(made)
    assert made["syscalls"] == once
    native = {**_profile(), "architectures": ["SCMP_ARCH_X86_64"]}
    guard(native)
    assert native == {**_profile(), "architectures": ["SCMP_ARCH_X86_64"]}

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import profile
from varmor.errors import PolicyError
from varmor.policy.types import SyscallArg
from varmor.profile import seccomp_names
from varmor.profile.seccomp_abi import allowing_cells, refusing_cells, twins
from varmor.profile.seccomp_arguments import FOREIGN, KINDS, TWINS
from varmor.profile.seccomp_condition import cell_holds, holds
from varmor.profile.seccomp_simulate import verdict


def _rule(name: str, index: int, value: int, operator: str = "EQ", **values: Any) -> dict[str, Any]:
    arg = {"index": index, "value": value, "op": f"SCMP_CMP_{operator}", **values}
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "args": [arg]}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (_rule("close", 1, 0), "args[0].index: close has one argument, counted from 0: there is no argument 1"),
        (_rule("getpid", 0, 0), "args[0].index: getpid has 0 arguments: there is no argument 0"),
        (
            _rule("socket", 0, 1 << 32),
            "args[0].value: 0x100000000 does not fit: the kernel reads 32 bits of argument 0",
        ),
        (_rule("chmod", 1, 1 << 16), "args[0].value: 0x10000 does not fit: the kernel reads 16 bits of argument 1"),
        (
            _rule("socket", 0, 1 << 40, "MASKED_EQ", valueTwo=1 << 40),
            "args[0].valueTwo: 0x10000000000 does not fit: the kernel reads 32 bits",
        ),
    ],
)
def test_what_an_argument_cannot_be(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        profile(enforcer="Seccomp", syscallRawRules=[rule])
    assert f"syscallRawRules[0].{words}" in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (_rule("openat", 1, 0x1000), "argument 1 of openat is an address"),
        (_rule("pread64", 3, 4096), "in 32-bit programs the arguments of pread64 stand elsewhere"),
        (
            _rule("clone", 0, 1 << 28, "MASKED_EQ", valueTwo=1 << 28),
            "clone3 does the same with this argument in memory",
        ),
        (_rule("truncate", 1, 0), "32-bit programs do the same by truncate64, with other arguments"),
    ],
)
def test_what_a_comparison_does_not_reach(rule: dict[str, Any], words: str) -> None:
    notes = profile(enforcer="Seccomp", syscallRawRules=[rule]).no_effect
    assert any(words in note.message and "syscallRawRules[0]" in note.field for note in notes)


@pytest.mark.parametrize("rule", [_rule("openat", 1, 0), _rule("mount", 3, 4096), _rule("ioctl", 1, 0x5412)])
def test_nothing_to_say(rule: dict[str, Any]) -> None:
    assert profile(enforcer="Seccomp", syscallRawRules=[rule]).no_effect == ()


def test_a_negative_number_is_one_of_its_width() -> None:
    made = profile(enforcer="Seccomp", syscallRawRules=[_rule("openat", 0, (1 << 64) - 100)]).seccomp
    assert made is not None
    assert verdict(made, "openat", [(1 << 32) - 100]).denies
    assert verdict(made, "openat", [(1 << 64) - 100]).denies
    assert not verdict(made, "openat", [100]).denies


_ops = st.sampled_from(["EQ", "NE", "LT", "LE", "GT", "GE"])
_small = st.one_of(st.integers(0, 70), st.integers((1 << 32) - 3, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))


@given(_ops, _small, _small, st.integers(0, (1 << 32) - 1), st.booleans())
def test_the_kernels_bits_decide(operator: str, limit: int, low: int, upper: int, beside: bool) -> None:
    arg = SyscallArg(0, limit, f"SCMP_CMP_{operator}")
    args = (arg, SyscallArg(1, 1, "SCMP_CMP_EQ")) if beside else (arg,)
    point = (upper << 32 | low, 1, 0, 0, 0, 0)
    wanted = holds(arg, low)
    if wanted:
        assert any(cell_holds(cell, point) for cell in refusing_cells("fchown", args))
    elif not upper:
        assert not any(cell_holds(cell, point) for cell in refusing_cells("fchown", args))
    if not wanted:
        assert not any(cell_holds(cell, point) for cell in allowing_cells("fchown", args))
    elif not upper:
        assert any(cell_holds(cell, point) for cell in allowing_cells("fchown", args))


def test_twins() -> None:
    assert twins("setuid", ()) == ("setuid32",)
    assert twins("setuid", (SyscallArg(0, 0, "SCMP_CMP_EQ"),)) == ("setuid32",)
    assert twins("truncate", ()) == ("truncate64",)
    assert twins("truncate", (SyscallArg(1, 0, "SCMP_CMP_EQ"),)) == ()
    made = profile(enforcer="Seccomp", syscallRawRules=[{"names": ["setuid"], "action": "SCMP_ACT_ERRNO"}]).seccomp
    assert made is not None
    assert made["syscalls"] == [{"names": ["setuid", "setuid32"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]


def test_the_table_is_about_real_calls() -> None:
    known = set(seccomp_names.calls("SCMP_ARCH_X86_64").values())
    assert not known & FOREIGN
    assert all(set(kinds) <= set("philq") and len(kinds) <= 6 for kinds in KINDS.values())
    assert all(seccomp_names.is_known(name) for name in TWINS)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.manifests import profile
from tests.unit.profile.seccomp_bpf import build, returned, run
from varmor.profile import seccomp_names
from varmor.profile.seccomp_simulate import simulate, verdict

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": None},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_LT"}]},
        {"names": ["write"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]},
        {"names": ["socket"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}]},
    ],
}


def test_verdicts() -> None:
    assert verdict(PROFILE, "read").name == "SCMP_ACT_ALLOW"
    assert verdict(PROFILE, "open").errno == 38
    assert verdict(PROFILE, "clone", [7]).name == "SCMP_ACT_ALLOW"
    assert verdict(PROFILE, "clone", [8]).name == "SCMP_ACT_ERRNO"
    assert verdict(PROFILE, "write", [2]).name == "SCMP_ACT_TRAP"


@pytest.mark.parametrize(
    ("call", "args", "arch", "action", "entry", "why"),
    [
        ("read", [], "SCMP_ARCH_X86_64", "ALLOW", 0, "syscalls[0] speaks about read"),
        (0, [], "SCMP_ARCH_X86_64", "ALLOW", 0, "syscalls[0] speaks about read"),
        (3, [], "SCMP_ARCH_X86", "ALLOW", 0, "syscalls[0] speaks about read"),
        ("clone", [7], "SCMP_ARCH_X86_64", "ALLOW", 1, "where argument 0 LE 0x7"),
        ("clone", [8], "SCMP_ARCH_X86_64", "ERRNO", None, "no entry speaks about clone with these arguments"),
        ("write", [2], "SCMP_ARCH_X86_64", "TRAP", 2, "argument 0 EQ 0x2"),
        (9999, [], "SCMP_ARCH_X86_64", "ERRNO", None, "knows no call 9999"),
        ("nonsense", [], "SCMP_ARCH_X86_64", "ERRNO", None, "has no call nonsense"),
        ("socketcall", [1], "SCMP_ARCH_X86_64", "ERRNO", None, "has no call socketcall"),
        ("socketcall", [1], "SCMP_ARCH_X86", "LOG", 3, "speaks about socketcall where argument 0 EQ 0x1"),
        ("socketcall", [2], "SCMP_ARCH_X86", "ERRNO", None, "no entry"),
        ("read", [], "SCMP_ARCH_X32", "KILL", None, "the filter does not cover SCMP_ARCH_X32"),
    ],
)
def test_decisions(call: str | int, args: Sequence[int], arch: str, action: str, entry: int | None, why: str) -> None:
    decision = simulate(PROFILE, call, args, arch=arch)
    assert decision.action.name == f"SCMP_ACT_{action}"
    assert decision.entry == entry
    assert why in decision.why


def test_what_is_recorded() -> None:
    flagged = {**PROFILE, "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    assert not simulate(PROFILE, "mount").recorded
    assert simulate(flagged, "mount").recorded
    assert not simulate(flagged, "read").recorded
    assert simulate(PROFILE, "socket", [38]).recorded
    assert simulate(PROFILE, "read", arch="SCMP_ARCH_ARM").recorded


def test_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="unknown architecture 'SCMP_ARCH_VAX'"):
        simulate({**PROFILE, "architectures": ["SCMP_ARCH_VAX"]}, "read", arch="SCMP_ARCH_VAX")


# Calls with arguments of 16, 32 and 64 bits, behind multiplexers, the multiplexer itself, and with 32-bit twins.
_CALLS = ("personality", "clone", "chmod", "socket", "bind", "socketcall", "shmget", "setuid", "ioctl")
_VALUES = (0, 1, 2, 8, 9, 0x26, 0xFF, 0x8000)
_ARCHES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")
_UPPER = (0, 1 << 32, 0xFFFFFFFF << 32, 1 << 16)
_POINTS = [value + upper for value, upper in itertools.product((*_VALUES, 3, 10), _UPPER)]

_args = st.lists(
    st.builds(
        lambda value, op: (
            {"index": 0, "value": value, "op": f"SCMP_CMP_{op}"}
            | ({"value": value | 8, "valueTwo": value} if op == "MASKED_EQ" else {})
        ),
        st.sampled_from(_VALUES),
        st.sampled_from(("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")),
    ),
    max_size=2,
)
_raw_rules = st.lists(
    st.builds(
        lambda names, action, args: {"names": names, "action": f"SCMP_ACT_{action}", "args": args},
        st.lists(st.sampled_from(_CALLS), min_size=1, max_size=2, unique=True),
        st.sampled_from(("ERRNO", "LOG", "KILL_PROCESS", "TRAP")),
        _args,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(_raw_rules, st.randoms(use_true_random=False))
def test_it_decides_as_the_program_of_libseccomp(rules: list[dict[str, Any]], random: Any) -> None:
    compiled = profile(enforcer="Seccomp", syscallRawRules=rules)
    made = compiled.seccomp
    if made is None:
        return
    exact = not any("overlap" in note.message for note in compiled.no_effect)
    program = build(made)
    for call, arch in itertools.product((*_CALLS, "setuid32", "mount"), _ARCHES):
        number = seccomp_names.number(call, arch)
        if number is None or arch not in made["architectures"]:
            continue
        for value in random.sample(_POINTS, 6):
            action = simulate(made, number, [value], arch=arch).action
            found = run(program, arch, number, [value])
            if exact or not action.denies:
                assert found == returned(action.name, action.errno), (call, arch, value)
            else:
                # Refusals of two kinds overlap: libseccomp may take either.
                assert found not in (returned("SCMP_ACT_ALLOW", None), returned("SCMP_ACT_LOG", None))


@settings(max_examples=100, deadline=None)
@given(_raw_rules, st.randoms())
def test_the_order_in_the_manifest_does_not_matter(rules: list[dict[str, Any]], random: Any) -> None:
    shuffled = [{**rule, "names": random.sample(rule["names"], len(rule["names"]))} for rule in rules]
    random.shuffle(shuffled)
    first = profile(enforcer="Seccomp", syscallRawRules=rules).seccomp
    assert profile(enforcer="Seccomp", syscallRawRules=shuffled).seccomp == first


@given(st.sampled_from(("personality", "socket", "setuid", "ioctl")), st.integers(0, (1 << 32) - 1), st.data())
def test_unread_bits_are_no_way_around(call: str, value: int, data: st.DataObject) -> None:
    operator = data.draw(st.sampled_from(("EQ", "NE", "LT", "LE", "GT", "GE")))
    limit = data.draw(st.integers(0, (1 << 32) - 1))
    rule = {
        "names": [call],
        "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": limit, "op": f"SCMP_CMP_{operator}"}],
    }
    made = profile(enforcer="Seccomp", syscallRawRules=[rule]).seccomp
    if made is None:
        return
    upper = data.draw(st.integers(0, (1 << 32) - 1)) << 32
    if simulate(made, call, [value]).action.denies:
        assert simulate(made, call, [upper | value]).action.denies

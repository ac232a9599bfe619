# SPDX-License-Identifier: Apache-2.0
"""Seccomp filters are compared call by call and condition by condition."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from varmor.advice.seccomp_difference import seccomp_changes
from varmor.profile.seccomp_simulate import verdict


def _filter(*entries: dict[str, Any], default: str = "SCMP_ACT_ALLOW", **fields: Any) -> dict[str, Any]:
    return {"defaultAction": default, "syscalls": list(entries), **fields}


def _deny(name: str, **condition: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"names": [name], "action": "SCMP_ACT_ERRNO"}
    return {**entry, "args": [condition]} if condition else entry


def test_no_filter_and_an_empty_one_are_the_same() -> None:
    assert list(seccomp_changes(None, _filter())) == []


def test_a_new_refusal_with_its_condition() -> None:
    flag = {"index": 0, "value": 0x10000000, "valueTwo": 0x10000000, "op": "SCMP_CMP_MASKED_EQ"}
    (change,) = seccomp_changes(_filter(), _filter(_deny("clone", **flag)))
    assert change.what == "clone when arg0 & 0x10000000 == 0x10000000"
    assert (change.before.denied, change.after.denied) == (False, True)
    assert change.actions == "ALLOW -> ERRNO(1)"


def test_a_wider_condition_names_only_what_is_new() -> None:
    narrow = _deny("ptrace", index=0, value=1, op="SCMP_CMP_EQ")
    (change,) = seccomp_changes(_filter(narrow), _filter(_deny("ptrace")))
    assert change.what == "ptrace when arg0 != 0x1"


def test_another_default_is_one_change() -> None:
    allowed = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    (change,) = seccomp_changes(None, _filter(allowed, default="SCMP_ACT_ERRNO"))
    assert change.what == "every syscall that is not named"


def test_recording_alone_is_a_change() -> None:
    entry = _deny("mount")
    (change,) = seccomp_changes(_filter(entry), _filter(entry, flags=["SECCOMP_FILTER_FLAG_LOG"]))
    assert (change.before.recorded, change.after.recorded) == (False, True)


_CONDITION = st.fixed_dictionaries(
    {
        "index": st.integers(0, 1),
        "value": st.integers(0, 4),
        "valueTwo": st.just(0),
        "op": st.sampled_from([f"SCMP_CMP_{name}" for name in ("EQ", "NE", "LT", "GE", "MASKED_EQ")]),
    }
)
_ENTRY = st.builds(
    lambda name, action, args: {"names": [name], "action": action, "args": args},
    st.sampled_from(["clone", "ptrace"]),
    st.sampled_from(["SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS"]),
    st.lists(_CONDITION, max_size=1),
)
_FILTERS = st.builds(
    _filter, _ENTRY, _ENTRY, default=st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"])
)


@settings(deadline=None, max_examples=150)
@given(_FILTERS, _FILTERS)
def test_no_change_is_missed(old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = list(seccomp_changes(old, new))
    for name in ("clone", "ptrace", "read"):
        for first in range(6):
            for second in range(6):
                before, after = verdict(old, name, (first, second)), verdict(new, name, (first, second))
                if before != after:
                    words = {change.what.split(" when ")[0] for change in changes}
                    assert name in words or "every syscall that is not named" in words

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from varmor.profile.seccomp_simulate import verdict

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": None},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_LT"}]},
        {"names": ["write"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]},
    ],
}


def test_verdicts() -> None:
    assert verdict(PROFILE, "read").name == "SCMP_ACT_ALLOW"
    assert verdict(PROFILE, "open").errno == 38
    assert verdict(PROFILE, "clone", [7]).name == "SCMP_ACT_ALLOW"
    assert verdict(PROFILE, "clone", [8]).name == "SCMP_ACT_ERRNO"
    assert verdict(PROFILE, "write", [2]).name == "SCMP_ACT_TRAP"

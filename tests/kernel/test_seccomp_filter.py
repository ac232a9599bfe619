# SPDX-License-Identifier: Apache-2.0
"""Generated and merged seccomp filters in a real kernel, loaded by libseccomp as the container runtimes do it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.unit.manifests import profile
from varmor.profile.seccomp_merge import merge

pytest.importorskip("seccomp", reason="python3-seccomp is not installed")

# A runtime's reading of an OCI filter: unknown names are left out, entries that say the default too.
_CHILD = """
import ctypes, errno, json, os, seccomp, subprocess, sys, threading

request = json.load(sys.stdin)
oci = request["filter"]

def action(name, number):
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(1 if number is None else number)
    return getattr(seccomp, name.removeprefix("SCMP_ACT_"))

default = (oci["defaultAction"], oci.get("defaultErrnoRet"))
loaded = seccomp.SyscallFilter(action(*default))
for architecture in oci.get("architectures", ()):
    arch = seccomp.Arch(getattr(seccomp.Arch, architecture.removeprefix("SCMP_ARCH_")))
    if not loaded.exist_arch(arch):
        loaded.add_arch(arch)
if "SECCOMP_FILTER_FLAG_LOG" in oci.get("flags", ()):
    loaded.set_attr(seccomp.Attr.CTL_LOG, 1)
for entry in oci["syscalls"]:
    if entry["action"] == default[0] and entry["action"] != "SCMP_ACT_ERRNO":
        continue
    args = [
        seccomp.Arg(arg["index"], getattr(seccomp, arg["op"].removeprefix("SCMP_CMP_")), arg["value"],
                    arg.get("valueTwo") or 0)
        for arg in entry.get("args") or ()
    ]
    for name in entry["names"]:
        if seccomp.resolve_syscall(seccomp.Arch(), name) != -1:
            try:
                loaded.add_rule(action(entry["action"], entry.get("errnoRet")), name, *args)
            except RuntimeError:
                if (entry["action"], entry.get("errnoRet", 1)) != (default[0], default[1] or 1):
                    raise
loaded.load()

libc = ctypes.CDLL(None, use_errno=True)
outcome = {}
for call, arguments in request["calls"]:
    number = seccomp.resolve_syscall(seccomp.Arch(), call)
    ctypes.set_errno(0)
    pid = libc.syscall(number, *[ctypes.c_ulong(value) for value in arguments])
    if call == "clone" and pid == 0:
        os._exit(0)
    outcome[f"{call} {arguments}"] = errno.errorcode.get(ctypes.get_errno(), "") if pid == -1 else ""
thread = threading.Thread(target=lambda: outcome.update(thread="runs"))
thread.start()
thread.join()
outcome["child"] = subprocess.run(["/bin/true"]).returncode
print(json.dumps(outcome))
"""

_NEWUSER = 0x10000000
_SIGCHLD = 17
_RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disallow-create-user-ns"],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
}

Calls = list[tuple[str, list[int]]]


def _filter(**values: Any) -> dict[str, Any]:
    made = profile(enforcer="Seccomp", **values).seccomp
    assert made is not None
    return made


def _run(oci: dict[str, Any], calls: Calls) -> dict[str, Any]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _CHILD],
        input=json.dumps({"filter": oci, "calls": calls}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert outcome.pop("thread") == "runs"
    assert outcome.pop("child") == 0
    return outcome


@pytest.mark.parametrize("audit", [False, True])
def test_attacks_and_neighbours(audit: bool) -> None:
    outcome = _run(
        _filter(**_RULES, auditViolations=audit),
        [
            ("unshare", [_NEWUSER]),
            ("unshare", [_NEWUSER | 0x20000]),
            ("unshare", [1 << 40 | _NEWUSER]),
            ("clone", [_NEWUSER | _SIGCHLD, 0, 0, 0, 0]),
            ("clone3", [0, 0]),
            ("mount", [0, 0, 0, 0, 0]),
            ("move_mount", [0, 0, 0, 0, 0]),
            ("fsopen", [0, 0]),
            ("open_tree", [0, 0, 0]),
            ("mount_setattr", [0, 0, 0, 0, 0]),
            ("splice", [0, 0, 0, 0, 0, 0]),
            ("unshare", [0]),
            ("clone", [_SIGCHLD, 0, 0, 0, 0]),
            ("tee", [99, 99, 1, 0]),
            ("umount2", [0, 0]),
        ],
    )
    refused = {call: error for call, error in outcome.items() if error in ("EPERM", "ENOSYS")}
    allowed = {call.split()[0]: error for call, error in outcome.items() if call not in refused}
    assert len(refused) == 11
    assert refused["clone3 [0, 0]"] == "ENOSYS"
    # What is let through fails for its own reasons only.
    assert allowed == {"unshare": "", "clone": "", "tee": "EBADF", "umount2": "EFAULT"}


def test_observation_refuses_nothing() -> None:
    outcome = _run(
        _filter(**_RULES, auditViolations=True, allowViolations=True),
        [("splice", [99, 0, 99, 0, 1, 0]), ("fsopen", [0, 0]), ("unshare", [0])],
    )
    assert outcome["splice [99, 0, 99, 0, 1, 0]"] == "EBADF"
    assert outcome["fsopen [0, 0]"] in ("EFAULT", "EPERM")  # EPERM without privileges, by the call itself
    assert outcome["unshare [0]"] == ""


def _everything_but(*names: str) -> list[str]:
    """The names of all syscalls but some: an allow-list for the test's own interpreter."""
    from varmor.profile.seccomp_names import names as known

    return [name for name in known() if name not in names]


def test_merged_with_an_allow_list() -> None:
    base = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 13,
        "syscalls": [
            {"names": _everything_but("clone", "clone3", "personality", "keyctl"), "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 0x6E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
            },
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            *(
                {
                    "names": ["personality"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
                }
                for value in (0, 8)
            ),
        ],
    }
    ours = _filter(
        **_RULES,
        auditViolations=True,
        syscallRawRules=[
            {
                "names": ["personality"],
                "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
            }
        ],
    )
    merged, notes = merge(base, ours)
    assert notes == []
    calls: Calls = [
        ("unshare", [_NEWUSER]),
        ("unshare", [0]),
        ("clone", [_NEWUSER | _SIGCHLD, 0, 0, 0, 0]),
        ("clone", [0x20000 | _SIGCHLD, 0, 0, 0, 0]),
        ("clone", [_SIGCHLD, 0, 0, 0, 0]),
        ("clone3", [0, 0]),
        ("personality", [0]),
        ("personality", [8]),
        ("personality", [9]),
        ("keyctl", [0, 0]),
        ("splice", [0, 0, 0, 0, 0, 0]),
        ("mount", [0, 0, 0, 0, 0]),
    ]
    outcome = list(_run(merged, calls).values())
    refused = ("EPERM", "EACCES", "ENOSYS")
    assert [error in refused for error in outcome] == [
        True, False, True, True, False, True, False, True, True, True, True, True,
    ]  # fmt: skip
    assert outcome[5] == "ENOSYS"
    assert outcome[9] == "EACCES"


def test_the_kernel_is_asked() -> None:
    """Without a filter the same calls get another answer: the tests above measure the filter."""
    outcome = _run(
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}, [("clone3", [0, 0]), ("mount", [0, 0, 0, 0, 0])]
    )
    assert outcome["clone3 [0, 0]"] == "EINVAL"
    assert outcome["mount [0, 0, 0, 0, 0]"] == ("EFAULT" if os.geteuid() == 0 else "EPERM")

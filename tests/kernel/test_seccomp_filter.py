# SPDX-License-Identifier: Apache-2.0
"""Generated and merged seccomp filters in a real kernel, loaded by libseccomp as the container runtimes do it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.unit.manifests import manifest, profile
from varmor.policy.parse import parse_object
from varmor.profile.seccomp_defense import defense_filter
from varmor.profile.seccomp_merge import merge
from varmor.profile.selection import Reaction
from varmor.profile.types import NodeFacts

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

# number, first and second argument of a 32-bit call: push rbx; eax, ebx, ecx from edi, esi, edx; int 0x80; pop rbx; ret
page = libc.mmap
page.restype = ctypes.c_void_p
page.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
code = page(None, 4096, 7, 0x62, -1, 0)  # readable, writable, executable; private, anonymous, below 4 GiB
program = bytes.fromhex("5389f889f389d1cd805bc3")
ctypes.memmove(code, program, len(program))
int80 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)(code)
for number, first, words in request["calls32"]:
    memory = (ctypes.c_uint * len(words))(*words)
    ctypes.memmove(code + 2048, memory, ctypes.sizeof(memory))
    result = int80(number, first, code + 2048)
    outcome[f"int80 {number} {first} {words}"] = errno.errorcode.get(-result, "") if result < 0 else ""
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


def _run(oci: dict[str, Any], calls: Calls, calls32: list[tuple[int, int, list[int]]] | None = None) -> dict[str, Any]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _CHILD],
        input=json.dumps({"filter": oci, "calls": calls, "calls32": calls32 or []}),
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


def _errno_rule(name: str, *args: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": list(args)}


def _equals(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def test_bits_that_the_kernel_does_not_read_are_no_way_around() -> None:
    rule = _errno_rule("socket", _equals(0, 38))
    calls: Calls = [
        ("socket", [38, 5, 0]),
        ("socket", [1 << 32 | 38, 5, 0]),
        ("socket", [1, 1, 0]),
        ("socket", [1 << 32 | 1, 1, 0]),
    ]
    assert list(_run(_filter(syscallRawRules=[rule]), calls).values()) == ["EACCES", "EACCES", "", ""]
    open_ = list(_run({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}, calls).values())
    assert open_[1] == open_[0] != "EACCES"
    assert open_[3] == ""


def test_32_bit_calls_are_no_way_around() -> None:
    socketcall, setuid, setuid32, getuid32 = 102, 23, 213, 199
    oci = _filter(syscallRawRules=[_errno_rule("socket"), _errno_rule("setuid")])
    calls = [
        (socketcall, 1, [1, 1, 0]),
        (socketcall, 8, [1, 1, 0, 0]),
        (setuid, 0, []),
        (setuid32, 0, []),
        (getuid32, 0, []),
    ]
    allowed = _run(
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": oci["architectures"], "syscalls": []}, [], calls
    )
    if set(allowed.values()) == {"ENOSYS"}:
        pytest.skip("the kernel runs no 32-bit calls")
    assert list(allowed.values()) == ["", "EFAULT", "", "", ""]
    assert list(_run(oci, [], calls).values()) == ["EACCES", "EFAULT", "EACCES", "EACCES", ""]


def test_a_rule_for_32_bit_programs_first_does_not_open_the_rest() -> None:
    oci = _filter(syscallRawRules=[_errno_rule("setuid32"), _errno_rule("personality", _equals(0, 8))])
    outcome = _run(oci, [("personality", [8]), ("personality", [0])])
    assert list(outcome.values()) == ["EACCES", ""]


@pytest.mark.parametrize("observe", [False, True])
def test_an_allow_list(observe: bool) -> None:
    custom = {
        "defaultAction": "SCMP_ACT_KILL",
        "syscalls": [{"names": _everything_but("keyctl", "acct"), "action": "SCMP_ACT_ALLOW"}],
    }
    text = json.dumps(custom)
    document = manifest(enforcer="Seccomp", mode="DefenseInDepth")
    raw = [_errno_rule("acct")]
    part = {"profileType": "Custom", "customProfile": text, "syscallRawRules": raw}
    document["spec"]["policy"]["defenseInDepth"] = {"seccomp": part}
    reaction = Reaction(deny=not observe, audit=True)
    oci = defense_filter(parse_object(document, "test"), text, NodeFacts(), reaction, [])
    outcome = list(_run(oci, [("keyctl", [99]), ("acct", [1]), ("getppid", [])]).values())
    assert outcome == ["ENOTSUP" if observe else "EPERM", "EACCES", ""]


def test_the_kernel_is_asked() -> None:
    """Without a filter the same calls get another answer: the tests above measure the filter."""
    outcome = _run(
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}, [("clone3", [0, 0]), ("mount", [0, 0, 0, 0, 0])]
    )
    assert outcome["clone3 [0, 0]"] == "EINVAL"
    assert outcome["mount [0, 0, 0, 0, 0]"] == ("EFAULT" if os.geteuid() == 0 else "EPERM")

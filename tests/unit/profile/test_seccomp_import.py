# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.profile.seccomp_bpf import build
from varmor.profile.seccomp_import import SeccompImportError, import_profile
from varmor.profile.seccomp_simulate import verdict
from varmor.profile.types import NodeFacts

NEWUSER = 0x10000000


def _entry(names: str, action: str = "ALLOW", **values: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **values}


def _arg(index: int, operator: str, value: int, **values: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": f"SCMP_CMP_{operator}", **values}


# The shape of Docker's default profile, with an entry of each kind.
DOCKER: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": None},
    ],
    "syscalls": [
        _entry("read write futex execve"),
        _entry("ptrace", includes={"minKernel": "4.8"}),
        _entry("process_mrelease", excludes={"minKernel": "5.15"}),
        _entry("socket", args=[_arg(0, "NE", 40)]),
        _entry("personality", args=[_arg(0, "EQ", 0)]),
        _entry("personality", args=[_arg(0, "EQ", 8)]),
        _entry("arch_prctl", includes={"arches": ["amd64", "x32"]}),
        _entry("cacheflush", includes={"arches": ["arm", "arm64"]}),
        _entry("clone clone3 mount unshare", includes={"caps": ["CAP_SYS_ADMIN"]}),
        _entry(
            "clone",
            args=[_arg(0, "MASKED_EQ", 0x7E020000)],
            excludes={"caps": ["CAP_SYS_ADMIN"], "arches": ["s390", "s390x"]},
        ),
        _entry("clone", args=[_arg(1, "MASKED_EQ", 0x7E020000)], includes={"arches": ["s390"]}, comment="other order"),
        _entry("clone3", "ERRNO", errnoRet=38, excludes={"caps": ["CAP_SYS_ADMIN"]}),
        _entry("chroot", includes={"caps": ["CAP_SYS_CHROOT"]}),
    ],
}


def _import(facts: NodeFacts | None = None, capabilities: frozenset[str] | None = frozenset(), **values: Any) -> Any:
    return import_profile({**DOCKER, **values}, facts or NodeFacts(), capabilities)


def test_conditions_of_the_node() -> None:
    found = _import()
    assert found.notes == ()
    assert found.profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    allowed = [name for name in ("ptrace", "arch_prctl", "cacheflush", "process_mrelease") if _allows(found, name)]
    assert allowed == ["ptrace", "arch_prctl"]
    other = _import(NodeFacts(machine="aarch64", kernel=(4, 7)))
    assert other.profile["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    allowed = [name for name in ("ptrace", "arch_prctl", "cacheflush", "process_mrelease") if _allows(other, name)]
    assert allowed == ["cacheflush", "process_mrelease"]


def _allows(found: Any, name: str, *args: int) -> bool:
    return not verdict(found.profile, name, args).denies


def test_conditions_of_the_workload() -> None:
    none, admin, unknown = _import(), _import(capabilities=frozenset({"CAP_SYS_ADMIN"})), _import(capabilities=None)
    for found, powerful in ((none, False), (admin, True), (unknown, False)):
        assert _allows(found, "mount") is powerful
        assert _allows(found, "clone", 17)
        assert _allows(found, "clone", NEWUSER) is powerful
        assert _allows(found, "clone3") is powerful
        assert not _allows(found, "chroot")
    assert verdict(unknown.profile, "clone3").errno == 38
    assert unknown.notes == (
        "clone, clone3, mount, unshare: depends on CAP_SYS_ADMIN, which a policy cannot know of its workloads; the "
        "stricter side was taken",
        "chroot: depends on CAP_SYS_CHROOT, which a policy cannot know of its workloads; the stricter side was taken",
    )


def test_libseccomp_takes_the_result() -> None:
    assert build(_import(capabilities=None).profile)


def test_text_names_of_errors_and_podmans_words() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrno": "ENOSYS",
            "defaultErrnoRet": 38,
            "syscalls": [{"name": "bdflush", "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "errnoRet": 1, "args": []}],
        }
    )
    found = import_profile(text, NodeFacts())
    assert verdict(found.profile, "read").errno == 38
    assert verdict(found.profile, "bdflush").errno == 1
    assert "architectures" not in found.profile


def test_what_says_the_default_does_not_cut_what_is_allowed() -> None:
    entries = [_entry("read", "ERRNO"), _entry("read")]
    assert _allows(_import(syscalls=entries), "read")


def test_more_notes() -> None:
    assert _import(syscalls=[_entry("no_such_call read")]).notes == (
        "libseccomp does not know these syscalls, so they fall under the default: no_such_call",
    )
    foreign = _import(archMap=None, architectures=["SCMP_ARCH_ARM"])
    assert "are not this node's (SCMP_ARCH_X86_64)" in foreign.notes[0]
    assert "says nothing about riscv32" in _import(NodeFacts(machine="riscv32")).notes[0]
    many = [f"CAP_{letter}" for letter in "ABCDEFG"]
    found = _import(capabilities=None, syscalls=[_entry("chroot", includes={"caps": many})])
    assert "more than 6 capabilities" in found.notes[0]
    assert not _allows(found, "chroot")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"defaultAction": "SCMP_ACT_DENY"}, "$.defaultAction: found 'SCMP_ACT_DENY'"),
        ({"defaultAction": None}, "$.defaultAction: found a JSON NoneType"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "$.defaultAction: SCMP_ACT_NOTIFY needs a listener"),
        ({"listenerPath": "/run/x"}, "$.listenerPath: asks for a listener"),
        ({"sycalls": []}, "$: unknown field 'sycalls' (did you mean 'syscalls'?)"),
        ({"architectures": ["SCMP_ARCH_X86"]}, "$.architectures: archMap is there too"),
        ({"defaultErrno": "EWHAT"}, "$.defaultErrno: found 'EWHAT'"),
        ({"defaultErrno": "ENOSYS"}, "$.defaultErrno: ENOSYS is 38, but defaultErrnoRet says 1"),
        ({"defaultErrnoRet": -1}, "$.defaultErrnoRet: found -1; expected a number from 0 to 4095"),
        ({"defaultErrnoRet": True}, "$.defaultErrnoRet: found True"),
        ({"flags": ["NONSENSE"]}, "$.flags[0]: unknown flag 'NONSENSE'"),
        ({"archMap": [{"architecture": "amd64"}]}, "$.archMap[0].architecture: found 'amd64'"),
        ({"syscalls": {}}, "$.syscalls: found a JSON dict; expected a list"),
        ({"syscalls": ["read"]}, "$.syscalls[0]: found 'read'; expected an object"),
        ({"syscalls": [{}] * 5000}, "$.syscalls: has 5000 entries; at most 4096"),
        ({"syscalls": [_entry("")]}, "$.syscalls[0]: names no syscall"),
        ({"syscalls": [{"names": [1], "action": "SCMP_ACT_ALLOW"}]}, "$.syscalls[0].names[0]: found 1"),
        ({"syscalls": [{**_entry("read"), "name": "read"}]}, "$.syscalls[0].name: names is there too"),
        ({"syscalls": [_entry("read", comment=1)]}, "$.syscalls[0].comment: found 1; expected text"),
        ({"syscalls": [_entry("read", errnoRet=5)]}, "$.syscalls[0].errnoRet: SCMP_ACT_ALLOW returns no number"),
        ({"syscalls": [_entry("read", args=[_arg(6, "EQ", 0)])]}, "$.syscalls[0].args[0].index: found 6"),
        ({"syscalls": [_entry("read", args=[_arg(0, "LIKE", 0)])]}, "$.syscalls[0].args[0].op: found 'SCMP_CMP_LIKE'"),
        ({"syscalls": [_entry("read", args=[_arg(0, "EQ", 1 << 64)])]}, "$.syscalls[0].args[0].value: found"),
        (
            {"syscalls": [_entry("read", args=[_arg(0, "MASKED_EQ", 1, valueTwo=2)])]},
            "$.syscalls[0].args[0].valueTwo: 0x2 has bits outside the mask 0x1",
        ),
        ({"syscalls": [_entry("read", includes={"caps": ["SYS_ADMIN"]})]}, "$.syscalls[0].includes.caps[0]"),
        ({"syscalls": [_entry("read", excludes={"minKernel": "new"})]}, "$.syscalls[0].excludes.minKernel"),
        ({"syscalls": [_entry("read", excludes={"os": "linux"})]}, "$.syscalls[0].excludes: unknown field 'os'"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SeccompImportError) as caught:
        _import(**values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "$: not JSON"),
        ("{", "$: not JSON: "),
        ("[]", "$: found a JSON list; expected an object"),
        ("{}", "$: has no defaultAction"),
        ("[" * 100_000, "$: not JSON that a seccomp profile could be"),
        ('{"defaultAction":"SCMP_ACT_LOG","defaultAction":"SCMP_ACT_ALLOW"}', "$: an object has the field"),
        (f'{{"defaultAction":"SCMP_ACT_LOG","x":{"9" * 5000}}}', "$: not JSON that"),
        (" " * ((1 << 20) + 1), "$: the profile is larger than 1048576 bytes"),
    ],
)
def test_refused_text(text: str, message: str) -> None:
    with pytest.raises(SeccompImportError) as caught:
        import_profile(text, NodeFacts())
    assert str(caught.value).startswith(message)


_names = st.lists(st.sampled_from(["clone", "mount", "read"]), min_size=1, max_size=2, unique=True)
_args = st.lists(
    st.builds(_arg, st.integers(0, 2), st.sampled_from(["EQ", "NE", "LT", "LE", "GT", "GE"]), st.integers(0, 3)),
    max_size=2,
)
_actions = st.sampled_from(["ALLOW", "LOG", "ERRNO", "KILL_PROCESS"])
_entries = st.lists(
    st.builds(lambda names, action, args: _entry(" ".join(names), action, args=args), _names, _actions, _args),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(_entries, st.sampled_from(["clone", "mount", "read"]), st.tuples(*[st.integers(0, 4)] * 3))
def test_without_conditions_nothing_changes(entries: list[Any], name: str, point: tuple[int, ...]) -> None:
    source = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "syscalls": entries}
    found = import_profile(source, NodeFacts())
    before, after = verdict(source, name, point), verdict(found.profile, name, point)
    assert after.denies if before.denies else (after == before or found.notes)

# SPDX-License-Identifier: Apache-2.0
"""Calls that a seccomp filter refuses are told, whoever installed the filter and without its FLAG_LOG."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.unit.manifests import profile
from varmor.kernel.audit_record import syscall_name
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.events import BpfEvent
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.kernel.bpf.loader import OBJECT, Settings
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_bpf import BpfViolations
from varmor.profile.types import Profile

seccomp: Any = pytest.importorskip("seccomp", reason="python3-seccomp is not installed")

EPERM = f"errno {errno.EPERM}"
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000


def needs_records(enforcer: BpfEnforcer) -> None:
    """Skip a test where the kernel lets nobody trace the function that refuses."""
    if not enforcer.records_seccomp:
        pytest.skip("this kernel cannot tell what seccomp refuses")


@pytest.fixture
def recorded(workload: Workload) -> Iterator[Workload]:
    """A bound workload whose refused calls are wanted."""
    needs_records(workload.enforcer)
    workload.enforcer.record_syscalls({workload.slot})
    yield workload
    workload.enforcer.record_syscalls(())


def under(action: Any, name: str, function: Callable[[], object], *args: Any) -> Callable[[], object]:
    """``function`` behind a filter that answers one call with ``action``."""

    def run() -> object:
        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        rules.add_rule(action, name, *args)
        rules.load()
        return function()

    return run


def refused(workload: Workload) -> list[BpfEvent]:
    """The calls that were told."""
    return [event for event in workload.events() if event.hook is Hook.SECCOMP]


def make_directory() -> None:
    os.mkdir("/tmp/of-a-test")  # noqa: PTH102 - the call itself is the point
    os.rmdir("/tmp/of-a-test")  # noqa: PTH106


def call(name: str, *args: int) -> int:
    """A call by its name; raises like the C library's."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = seccomp.resolve_syscall(seccomp.Arch(), name)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(arg) for arg in args])
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return int(result)


def test_a_refused_call_is_told(recorded: Workload) -> None:
    assert recorded.call(under(seccomp.ERRNO(errno.EACCES), "mkdir", make_directory)) == f"errno {errno.EACCES}"
    [event] = refused(recorded)
    assert event.call is not None
    assert syscall_name(event.call.architecture, event.call.number) == "mkdir"
    assert (event.call.error, event.verdict, event.slot) == (errno.EACCES, Verdict.DENIED, recorded.slot)
    assert event.path == ""
    assert event.comm


def test_all_arguments_are_told(recorded: Workload) -> None:
    values = (1, 2, 3, 0xFFFF_FFFF_0000_0004, 5, 6)
    assert recorded.call(under(seccomp.ERRNO(errno.EPERM), "keyctl", lambda: call("keyctl", *values))) == EPERM
    [event] = refused(recorded)
    assert event.call is not None
    assert event.call.arguments == values


def test_an_allowed_call_is_not_told(recorded: Workload) -> None:
    assert recorded.call(under(seccomp.ERRNO(errno.EPERM), "keyctl", make_directory)) == "None"
    assert refused(recorded) == []


def test_a_signal_instead_of_an_error(recorded: Workload) -> None:
    def attack() -> str:
        caught: list[int] = []
        signal.signal(signal.SIGSYS, lambda number, _frame: caught.append(number))
        call("keyctl", 0)
        return "caught" if caught == [signal.SIGSYS] else "not caught"

    assert recorded.call(under(seccomp.TRAP, "keyctl", attack)) == "'caught'"
    [event] = refused(recorded)
    assert event.call is not None
    assert event.call.error == 0


def test_a_killed_task_is_left_to_audit(recorded: Workload) -> None:
    assert recorded.call(under(seccomp.KILL_PROCESS, "keyctl", lambda: call("keyctl", 0))) == ""
    assert refused(recorded) == []


def test_tasks_that_are_not_bound_are_not_told(recorded: Workload, free: Cgroup) -> None:
    recorded.enforcer.read_events()
    assert in_child(under(seccomp.ERRNO(errno.EPERM), "mkdir", make_directory), before=free.enter) == EPERM
    assert recorded.enforcer.read_events() == []


def test_profiles_that_do_not_want_it_are_not_told(workload: Workload) -> None:
    assert workload.call(under(seccomp.ERRNO(errno.EPERM), "mkdir", make_directory)) == EPERM
    assert refused(workload) == []


def test_a_slot_that_comes_later_and_a_new_revision_keep_the_wish(recorded: Workload) -> None:
    recorded.enforcer.remove(recorded.slot)
    recorded.enforcer.apply(recorded.slot, "", recorded_rules(), observe=False)
    recorded.bind()
    recorded.apply(recorded_rules())
    assert recorded.call(under(seccomp.ERRNO(errno.EPERM), "mkdir", make_directory)) == EPERM
    assert len(refused(recorded)) == 1


@pytest.mark.parametrize("function", ["migrate_disable", "no_such_function"])
def test_the_enforcer_does_without_where_the_kernel_refuses_it(
    enforcer: BpfEnforcer, tmp_path: Path, function: str
) -> None:
    """The same object, tracing a function that the kernel lets nobody trace, or has not got."""
    needs_records(enforcer)
    wanted, found = f"?fexit/{function}\0".encode(), b"?fexit/__secure_computing\0"
    changed = tmp_path / "enforcer.bpf.o"
    changed.write_bytes(OBJECT.read_bytes().replace(found, wanted.ljust(len(found), b"\0")))
    other = BpfEnforcer(Settings(object_path=changed), PinDirectory(BPFFS / "varmor_tests_without"))
    try:
        other.start()
        assert not other.records_seccomp
        assert f"fexit/{function}" in other.absent_hooks
        assert other.unjudged == ()
        other.record_syscalls({"varmor-any"})
    finally:
        other.detach()


def recorded_rules() -> Any:
    """Some rules for BPF."""
    return profile(enforcer="BPF", mode="RuntimeDefault").bpf


def violations(workload: Workload, compiled: Profile) -> list[dict[str, Any]]:
    """What the log would say of the events that wait."""
    attributor = Attributor(workload.enforcer.owner_of, _NoProcesses())
    attributor.update([], [replace(compiled, name=workload.slot)])
    maker = BpfViolations(attributor)
    made = [maker.violation(event) for event in refused(workload)]
    return [{"enforcer": item.enforcer, **item.event} for item in made if item is not None]


class _NoProcesses:
    def cgroup_ids(self, pid: int) -> list[int]:
        del pid
        return []

    def mount_namespace(self, pid: int) -> int:
        del pid
        return 0


RULES: dict[str, Any] = {"hardeningRules": ["disallow-create-user-ns"], "auditViolations": True}


def test_a_violation_names_call_error_and_rule(recorded: Workload) -> None:
    wanted = seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)
    attack = under(seccomp.ERRNO(errno.EPERM), "unshare", lambda: call("unshare", CLONE_NEWUSER), wanted)
    assert recorded.call(attack) == EPERM
    [found] = violations(recorded, profile(**RULES))
    expected = {"enforcer": "Seccomp", "syscall": "unshare", "errno": "EPERM", "rule": "disallow-create-user-ns"}
    assert found.items() >= expected.items()


def test_what_another_filter_refuses_is_no_violation(recorded: Workload) -> None:
    attack = under(seccomp.ERRNO(errno.EPERM), "unshare", lambda: call("unshare", CLONE_NEWNS))
    assert recorded.call(attack) == EPERM
    assert violations(recorded, profile(**RULES)) == []


def test_a_fallback_is_no_violation(recorded: Workload) -> None:
    attack = under(seccomp.ERRNO(errno.ENOSYS), "clone3", lambda: call("clone3", 0, 0))
    assert recorded.call(attack) == f"errno {errno.ENOSYS}"
    assert violations(recorded, profile(**RULES)) == []

# SPDX-License-Identifier: Apache-2.0
"""Looking into other processes: what a workload does, and what is done to it."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import BpfProfile, PtracePermission, PtraceRule

EACCES, EPERM = f"errno {errno.EACCES}", f"errno {errno.EPERM}"
TRACE, READ = PtracePermission.TRACE, PtracePermission.READ
TRACED_BY, READ_BY = PtracePermission.TRACED_BY, PtracePermission.READ_BY
_PTRACE_TRACEME, _PTRACE_DETACH, _PTRACE_SEIZE = 0, 17, 0x4206
_PROCESS_VM_READV, _PIDFD_OPEN, _PIDFD_GETFD, _KCMP = 310, 434, 438, 312


def rule(permissions: PtracePermission, *, everywhere: bool = False, deny: bool = True) -> PtraceRule:
    """A ptrace rule that records."""
    return PtraceRule(permissions, everywhere, deny=deny, audit=True, origin="test")


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def _ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def _seize(pid: int) -> None:
    _ptrace(_PTRACE_SEIZE, pid)


def _root(pid: int) -> None:
    (Path("/proc") / str(pid) / "root").readlink()


def _through_root(pid: int) -> None:
    (Path("/proc") / str(pid) / "root" / "etc" / "hostname").stat()


def _environment(pid: int) -> None:
    Path(f"/proc/{pid}/environ").read_bytes()


def _maps(pid: int) -> None:
    Path(f"/proc/{pid}/maps").read_bytes()


def _descriptors(pid: int) -> None:
    Path(f"/proc/{pid}/fd/0").readlink()


def _namespace(pid: int) -> None:
    Path(f"/proc/{pid}/ns/mnt").readlink()


def _memory(pid: int) -> None:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))


def _vm_read(pid: int) -> None:
    data = ctypes.create_string_buffer(1)
    code = ctypes.cast(
        ctypes.CDLL(None).getpid, ctypes.c_void_p
    ).value  # the other process is a fork: the same addresses
    here, there = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 1), (ctypes.c_uint64 * 2)(code or 0, 1)
    _call(_PROCESS_VM_READV, ctypes.c_long(pid), here, ctypes.c_long(1), there, ctypes.c_long(1), ctypes.c_long(0))


def _take_descriptor(pid: int) -> None:
    _call(_PIDFD_GETFD, _call(_PIDFD_OPEN, pid, 0), 0, 0)


def _compare(pid: int) -> None:
    _call(_KCMP, os.getpid(), pid, 2, 0, 0)  # KCMP_FILES


READS = {
    "root": _root,
    "through root": _through_root,
    "descriptors": _descriptors,
    "namespace": _namespace,
    "kcmp": _compare,
}
MEMORY_READS = {"environ": _environment, "maps": _maps}
"""The kernel lets whoever has CAP_PERFMON or CAP_SYS_ADMIN do these whatever is refused, since 6.18."""
TRACES = {"seize": _seize, "mem": _memory, "process_vm_readv": _vm_read, "pidfd_getfd": _take_descriptor}
FALLS_BACK = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 18)


@dataclass
class Process:
    """A process that waits."""

    pid: int

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def waiting(cgroup: Cgroup | None, enforcer: BpfEnforcer | None = None) -> Process:
    """A process in a cgroup (of the tests themselves without one) that does nothing."""
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if cgroup is not None:
                cgroup.enter()
            os.write(ready_write, b"!")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(ready_write)
    os.read(ready_read, 1)
    os.close(ready_read)
    if enforcer is not None:
        enforcer.adopt()
    return Process(pid)


@pytest.fixture
def stranger() -> Iterator[Process]:
    """A process that is not confined."""
    process = waiting(None)
    yield process
    process.kill()


@pytest.fixture
def fellow(workload: Workload) -> Iterator[Process]:
    """A process of the same workload."""
    process = waiting(workload.cgroup, workload.enforcer)
    yield process
    process.kill()


@pytest.mark.parametrize("attack", READS.values(), ids=READS.keys())
def test_reading_across_the_border(
    workload: Workload, free: Cgroup, stranger: Process, fellow: Process, attack: Callable[[int], None]
) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ),)))
    assert in_child(lambda: attack(stranger.pid), before=free.enter) == "None"
    assert workload.call(lambda: attack(stranger.pid)) in (EACCES, EPERM)
    event = workload.events()[-1]
    assert (event.hook, event.verdict) == (Hook.PTRACE, Verdict.DENIED)
    assert event.process is not None
    assert (event.process.act, event.process.tgid) == (READ, stranger.pid)
    assert workload.call(lambda: attack(fellow.pid)) == "None"
    assert workload.call(lambda: attack(os.getpid())) == "None"


@pytest.mark.skipif(FALLS_BACK, reason="since 6.18 root reads these in spite of a refusal")
@pytest.mark.parametrize("attack", MEMORY_READS.values(), ids=MEMORY_READS.keys())
def test_reading_memory_across_the_border(
    workload: Workload, stranger: Process, fellow: Process, attack: Callable[[int], None]
) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ),)))
    assert workload.call(lambda: attack(stranger.pid)) == EACCES
    assert workload.call(lambda: attack(fellow.pid)) == "None"
    assert workload.call(lambda: attack(os.getpid())) == "None"


@pytest.mark.parametrize("attack", TRACES.values(), ids=TRACES.keys())
def test_tracing_across_the_border(
    workload: Workload, free: Cgroup, stranger: Process, fellow: Process, attack: Callable[[int], None]
) -> None:
    workload.apply(BpfProfile(ptrace=(rule(TRACE),)))
    assert in_child(lambda: attack(stranger.pid), before=free.enter) == "None"
    assert workload.call(lambda: attack(stranger.pid)).startswith("errno ")
    assert workload.events()[-1].hook is Hook.PTRACE
    assert workload.call(lambda: attack(fellow.pid)) == "None"
    assert workload.call(lambda: _root(stranger.pid)) == "None"


def test_everywhere(workload: Workload, fellow: Process) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ, everywhere=True),)))
    assert workload.call(lambda: _root(fellow.pid)) == EACCES
    assert workload.call(lambda: _root(os.getpid())) == "None"
    assert workload.call(lambda: _seize(fellow.pid)) == "None"


def test_threads_of_one_process_are_not_judged(workload: Workload) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ | TRACE, everywhere=True),)))

    def own() -> list[str]:
        return [name for name in ("root", "fd/0", "ns/mnt") if not Path("/proc/thread-self", name).readlink()]

    assert workload.call(own) == "[]"


def test_a_host_process_looks_into_the_workload(workload: Workload, free: Cgroup, fellow: Process) -> None:
    """The tests' free processes are in the host's mount namespace: the node's own."""
    workload.apply(BpfProfile(ptrace=(rule(TRACED_BY | READ_BY, everywhere=True),)))
    assert in_child(lambda: _root(fellow.pid), before=free.enter) == "None"
    assert in_child(lambda: _seize(fellow.pid), before=free.enter) == "None"


def _elsewhere(attack: Callable[[int], None], pid: int) -> Callable[[], None]:
    """From a mount namespace of its own, as a container without a policy."""

    def attempt() -> None:
        _call(272, ctypes.c_long(0x00020000))  # unshare(CLONE_NEWNS)
        attack(pid)

    return attempt


def test_another_container_looks_into_the_workload(workload: Workload, free: Cgroup, fellow: Process) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ_BY),)))
    assert in_child(_elsewhere(_root, fellow.pid), before=free.enter) == EACCES
    event = workload.events()[-1]
    assert event.process is not None
    assert (event.process.act, event.process.tgid) == (READ_BY, fellow.pid)
    assert in_child(_elsewhere(_seize, fellow.pid), before=free.enter) == "None"
    workload.apply(BpfProfile(ptrace=(rule(TRACED_BY),)))
    assert in_child(_elsewhere(_root, fellow.pid), before=free.enter) == "None"
    assert in_child(_elsewhere(_seize, fellow.pid), before=free.enter).startswith("errno ")


def test_another_workload_looks_into_the_workload(
    workload: Workload, second_workload: Workload, fellow: Process
) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ_BY),)))
    assert second_workload.call(lambda: _root(fellow.pid)) == EACCES
    assert [event.workload for event in workload.enforcer.read_events()] == [workload.number]
    assert workload.call(lambda: _root(fellow.pid)) == "None"


@pytest.mark.parametrize("inside", [False, True])
def test_asking_to_be_traced(workload: Workload, inside: bool) -> None:
    """PTRACE_TRACEME names the parent: it is the parent's act, and done to the child."""
    workload.apply(BpfProfile(ptrace=(rule(TRACED_BY),)))

    def ask() -> str:
        return in_child(lambda: _ptrace(_PTRACE_TRACEME, 0), before=lambda: None)

    if inside:
        assert workload.call(ask) == repr("None")
    else:  # the parent is the test itself: the host's
        assert workload.call(lambda: _ptrace(_PTRACE_TRACEME, 0)) == "None"
    workload.apply(BpfProfile(ptrace=(rule(TRACE, everywhere=True),)))
    expected = repr(EACCES) if inside else "None"
    assert workload.call(ask if inside else lambda: _ptrace(_PTRACE_TRACEME, 0)) == expected


def test_recorded_only(workload: Workload, stranger: Process) -> None:
    workload.apply(BpfProfile(ptrace=(rule(READ, deny=False),)))
    assert workload.call(lambda: _root(stranger.pid)) == "None"
    assert [event.verdict for event in workload.events()] == [Verdict.AUDIT]


def test_what_the_kernel_asks_quietly_makes_no_record(workload: Workload, stranger: Process) -> None:
    """/proc/<pid>/stat shows addresses to whoever may trace: nobody is told that they are left out."""
    workload.apply(BpfProfile(ptrace=(rule(READ),)))
    assert workload.call(lambda: len(Path(f"/proc/{stranger.pid}/stat").read_bytes()) > 0) == "True"
    assert workload.events() == []

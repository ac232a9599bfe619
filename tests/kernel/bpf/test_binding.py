# SPDX-License-Identifier: Apache-2.0
"""Who is bound, from when on, and that nobody sheds it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import CGROUPS, SHELL, Cgroup, Workload, in_child
from tests.kernel.bpf.rules import ALL, capability, path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.layout import MountBinding
from varmor.profile.types import Access, BpfProfile

CLONE_NEWNS = 0x00020000
CAP_SYS_CHROOT = 18
DENIED = "Permission denied"


def _unshare_mounts() -> None:
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        raise OSError("unshare")


def _enter_as_container(cgroup: Cgroup) -> Callable[[], None]:
    def prepare() -> None:
        cgroup.enter()
        _unshare_mounts()

    return prepare


class RunningShell:
    """A shell that was started with ``prepare`` in its child, and executes what it is asked. A context manager."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._process = subprocess.Popen(
            [SHELL, "sh"],
            preexec_fn=prepare,  # noqa: PLW1509 - no threads here
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> RunningShell:
        self.ask("true")
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):  # its children may hold the other end
            assert pipe is not None
            pipe.close()

    def ask(self, command: str) -> str:
        """The output of a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}; echo '==end'\n")
        self._process.stdin.flush()
        lines = []
        while (line := self._process.stdout.readline()) and "==end" not in line:
            lines.append(line)
        return "".join(lines)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that the tests' rules deny."""
    file = tmp_path / "secret"
    file.write_text("secret\n")
    return file


@pytest.fixture
def bound(workload: Workload, secret: Path) -> Workload:
    """A workload that may not read ``secret``."""
    workload.apply(BpfProfile(paths=(path(str(secret), ALL),)))
    return workload


def _elsewhere() -> None:
    (CGROUPS / "cgroup.procs").write_text("0")


def _detached() -> None:
    """Twice forked, a new session: the parent waits for the grandchild's answer through the same pipe."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    if os.fork() != 0:
        os._exit(0)


@pytest.mark.parametrize(
    "escape",
    [_unshare_mounts, _elsewhere, _detached, lambda: os.chroot("/")],
    ids=["mount namespace", "another cgroup", "double fork", "chroot"],
)
def test_binding_is_sticky(bound: Workload, free: Cgroup, secret: Path, escape: Callable[[], None]) -> None:
    def attack() -> str:
        escape()
        return secret.read_text()

    assert in_child(attack, before=free.enter) == repr("secret\n")
    assert bound.call(attack) == "errno 13"


def test_exec_keeps_the_binding(bound: Workload, secret: Path) -> None:
    script = f"echo $$ > {CGROUPS}/cgroup.procs; exec unshare -m {SHELL} sh -c 'exec cat {secret}'"
    assert DENIED in bound.run(script).stderr


def test_threads_are_bound(bound: Workload, secret: Path) -> None:
    import threading

    def attack() -> str:
        found: list[str] = []

        def read() -> None:
            try:
                found.append(secret.read_text())
            except OSError as error:
                found.append(str(error.errno))

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        return found[0]

    assert bound.call(attack) == repr("13")


def test_cgroup_below_is_bound(bound: Workload, secret: Path) -> None:
    below = Cgroup(bound.cgroup.path / "a" / "b")
    below.path.mkdir(parents=True)
    assert DENIED in below.run(f"cat {secret}").stderr


def test_setup_before_the_entrypoint_is_not_judged(bound: Workload, secret: Path) -> None:
    """A container runtime's own code runs in the container's cgroup until it executes the entrypoint."""
    shell_rule = path("/**/busybox", Access.EXEC)
    bound.apply(BpfProfile(paths=(path(str(secret), ALL), shell_rule), capabilities=(capability(CAP_SYS_CHROOT),)))
    bound.enforcer.bind_cgroup(bound.cgroup.id, bound.slot, bound.number, entrypoint=True)

    def runtime() -> None:
        _enter_as_container(bound.cgroup)()
        secret.read_text()
        os.chroot("/")

    script = f"read line < {secret}; chroot / true; {SHELL} true"
    result = subprocess.run(
        [SHELL, "sh", "-c", script], preexec_fn=runtime, capture_output=True, text=True, check=False
    )
    assert result.stderr.count(DENIED) == 2, result.stderr  # the file, and the exec
    assert "not permitted" in result.stderr
    # the entrypoint has started: who enters now is judged from its first exec on
    late = pytest.raises(PermissionError)
    with late:
        subprocess.run([SHELL, "true"], preexec_fn=_enter_as_container(bound.cgroup), check=False)


def test_runtime_in_the_hosts_mounts_is_not_bound(bound: Workload, secret: Path) -> None:
    bound.enforcer.bind_cgroup(bound.cgroup.id, bound.slot, bound.number)
    assert bound.run(f"cat {secret}").stdout == "secret\n"
    entered = subprocess.run(
        ["/bin/cat", secret], preexec_fn=_enter_as_container(bound.cgroup), capture_output=True, text=True, check=False
    )
    assert DENIED in entered.stderr


def test_late_entrant_is_found_by_the_mount_namespace(bound: Workload, free: Cgroup, secret: Path) -> None:
    bound.enforcer.bind_cgroup(bound.cgroup.id, bound.slot, bound.number, entrypoint=True)
    with RunningShell(_enter_as_container(bound.cgroup)) as container:
        enter = ["nsenter", "-t", str(container.pid), "-m", "cat", str(secret)]
        result = free.run_program(enter)
        assert DENIED in result.stderr, result
        assert bound.enforcer.read_events()[-1].workload == bound.number
        inode = Path(f"/proc/{container.pid}/ns/mnt").stat().st_ino
        bound.enforcer.unbind_mount_namespace(inode)
        assert free.run_program(enter).stdout == "secret\n"


def test_mount_namespace_is_forgotten_with_its_cgroup(bound: Workload) -> None:
    enforcer = bound.enforcer
    enforcer.bind_cgroup(bound.cgroup.id, bound.slot, bound.number, entrypoint=True)
    with RunningShell(_enter_as_container(bound.cgroup)):
        assert len(enforcer._started().mount_namespaces.all_keys()) == 1
    bound.cgroup.kill()
    assert enforcer._started().mount_namespaces.all_keys() == []
    assert enforcer.bindings() == []


def test_inode_number_of_a_namespace_that_is_gone_binds_nobody(bound: Workload, free: Cgroup, secret: Path) -> None:
    """The kernel gives the number to the next namespace at once; the generation tells them apart."""

    def next_namespace() -> str:
        _unshare_mounts()
        inode = Path("/proc/self/ns/mnt").stat().st_ino
        index = bound.enforcer._bindings._index[bound.number]
        stale = MountBinding(generation=1, workload=index)
        bound.enforcer._started().mount_namespaces.put(ctypes.c_uint32(inode), stale)
        return subprocess.run(["/bin/cat", secret], capture_output=True, text=True, check=False).stdout

    assert in_child(next_namespace, before=free.enter) == repr("secret\n")
    for inode in bound.enforcer._started().mount_namespaces.all_keys():
        bound.enforcer.unbind_mount_namespace(inode.value)


def test_running_tasks_are_adopted(bound: Workload, free: Cgroup, secret: Path) -> None:
    with RunningShell(free.enter) as running:
        child = running.ask("sleep 1000 > /dev/null & echo $!").strip()
        bound.enforcer.bind_cgroup(free.id, bound.slot, bound.number, host_mounts=True)
        assert running.ask(f"read line < {secret}; echo $line") == "secret\n"
        assert bound.enforcer.adopt() in (1, 2)  # the child may have bound itself by its exec
        assert DENIED in running.ask(f"read line < {secret}")
        assert {str(task.tgid) for task in bound.enforcer.bound_tasks()} == {child, str(running.pid)}
        assert bound.enforcer.owner_of(running.pid) == bound.number
        assert bound.enforcer.adopt() == 0


def test_policy_changes_under_running_tasks(bound: Workload, secret: Path) -> None:
    read = f"read line < {secret} && echo $line"
    other = f"{bound.slot}-other"
    with RunningShell(bound.cgroup.enter) as running:
        assert DENIED in running.ask(read)
        bound.apply(BpfProfile())
        assert running.ask(read) == "secret\n"
        bound.enforcer.apply(other, "ff" * 32, BpfProfile(paths=(path(str(secret), ALL),)))
        bound.enforcer.bind_cgroup(bound.cgroup.id, other, bound.number, host_mounts=True)
        assert DENIED in running.ask(read)
        bound.enforcer.remove(other)
        assert running.ask(read) == "secret\n"


def test_policy_that_is_removed_and_given_again_reaches_running_tasks(bound: Workload, secret: Path) -> None:
    read = f"read line < {secret} && echo $line"
    with RunningShell(bound.cgroup.enter) as running:
        assert DENIED in running.ask(read)
        bound.enforcer.remove(bound.slot)
        assert running.ask(read) == "secret\n"
        bound.apply(BpfProfile(paths=(path(str(secret), ALL),)))
        bound.enforcer.bind_cgroup(bound.cgroup.id, bound.slot, bound.number + 5000, host_mounts=True)
        assert bound.enforcer.adopt() == 1
        assert DENIED in running.ask(read)
        assert bound.enforcer.owner_of(running.pid) == bound.number + 5000
        assert bound.enforcer.adopt() == 0


def test_slot_that_is_used_again_does_not_reach_old_tasks(bound: Workload, secret: Path) -> None:
    with RunningShell(bound.cgroup.enter) as running:
        bound.enforcer.remove(bound.slot)
        bound.enforcer.apply("varmor-test-next", "ff" * 32, BpfProfile(paths=(path(str(secret), ALL),)))
        assert running.ask(f"read line < {secret} && echo $line") == "secret\n"
        bound.enforcer.remove("varmor-test-next")


def test_unbinding_a_live_cgroup_lets_its_tasks_go(bound: Workload, secret: Path) -> None:
    with RunningShell(bound.cgroup.enter) as running:
        bound.enforcer.unbind_cgroup(bound.cgroup.id)
        assert running.ask(f"read line < {secret} && echo $line") == "secret\n"


def test_unbinding_an_ended_container_keeps_who_escaped(bound: Workload, free: Cgroup, secret: Path) -> None:
    with RunningShell(bound.cgroup.enter) as running:
        running.ask(f"echo $$ > {free.path}/cgroup.procs")
        cgroup_id = bound.cgroup.id
        bound.cgroup.path.rmdir()
        bound.enforcer.unbind_cgroup(cgroup_id)
        assert DENIED in running.ask(f"read line < {secret}")


def test_entries_of_workloads_that_ended_are_collected(bound: Workload, free: Cgroup) -> None:
    bindings = bound.enforcer._bindings
    bound.enforcer.bind_cgroup(free.id, bound.slot, 990, host_mounts=True)
    with RunningShell(free.enter):
        bound.enforcer.unbind_cgroup(free.id)
        bindings._collect()
        assert 990 in bindings._index  # a task still points to it
    free.kill()
    bindings._collect()
    assert 990 not in bindings._index
    assert bound.number in bindings._index


def test_owner_is_known_after_the_end(bound: Workload, free: Cgroup) -> None:
    with RunningShell(bound.cgroup.enter) as ended, RunningShell(free.enter) as other:
        pass
    assert bound.enforcer.owner_of(ended.pid) == bound.number
    assert bound.enforcer.owner_of(other.pid) is None


def test_other_workloads_are_not_touched(bound: Workload, free: Cgroup, secret: Path) -> None:
    assert free.run(f"cat {secret}; chroot / true").stdout == "secret\n"
    assert bound.events() == []


class TestUnit:
    """A systemd unit, by the path of its cgroup. systemd's part is played by the tests."""

    @pytest.fixture
    def unit(self, enforcer: BpfEnforcer, workload: Workload, secret: Path) -> Iterator[Cgroup]:
        """A unit that does not run yet."""
        slice_ = CGROUPS / f"unit-{workload.number}.slice"
        slice_.mkdir()
        profile = BpfProfile(paths=(path(str(secret), ALL), path("/**/tool", Access.EXEC)))
        workload.apply(profile)
        unit = Cgroup(slice_ / "demo.service")
        enforcer.bind_unit(str(unit.path).removeprefix(str(CGROUPS)), workload.slot, workload.number)
        yield unit
        enforcer.unbind_unit(str(unit.path).removeprefix(str(CGROUPS)))
        unit.kill()
        slice_.rmdir()

    def test_bound_when_its_cgroup_is_made(self, unit: Cgroup, secret: Path) -> None:
        for _ in range(2):  # started, and started again
            unit.path.mkdir()
            assert DENIED in unit.run(f"cat {secret}").stderr
            unit.path.rmdir()

    def test_its_program_is_not_judged_and_its_children_are(self, unit: Cgroup, tmp_path: Path, secret: Path) -> None:
        unit.path.mkdir()
        tool = tmp_path / "tool"
        tool.write_text(f"#!{SHELL} sh\ncat {secret}\n{tool}\necho status $?\n")
        tool.chmod(0o755)
        result = unit.run_program([str(tool)])  # a rule denies this program, yet it is the unit's own
        assert result.stdout == "status 126\n"
        assert result.stderr.count(DENIED) == 2

    def test_systemd_executor_is_systemds_own_code(self, unit: Cgroup, tmp_path: Path, secret: Path) -> None:
        """Systemd >= 255 starts a unit through a program of its own, in the unit's cgroup."""
        unit.path.mkdir()
        executor = tmp_path / "systemd-executor"
        executor.write_bytes(Path("/bin/cat").read_bytes())
        executor.chmod(0o755)
        assert unit.run_program([str(executor), str(secret)]).stdout == "secret\n"
        assert DENIED in unit.run_program(["/bin/cat", str(secret)]).stderr

    def test_running_unit_is_adopted(self, enforcer: BpfEnforcer, workload: Workload, secret: Path) -> None:
        workload.apply(BpfProfile(paths=(path(str(secret), ALL),)))
        unit = Cgroup(CGROUPS / f"running-{workload.number}.service")
        unit.path.mkdir()
        with RunningShell(unit.enter) as running:
            enforcer.bind_unit(f"/{unit.path.name}", workload.slot, workload.number)
            assert enforcer.adopt() == 1
            assert DENIED in running.ask(f"read line < {secret}")
            assert [binding.unit for binding in enforcer.bindings() if binding.unit] == [f"/{unit.path.name}"]
            enforcer.unbind_unit(f"/{unit.path.name}")
            assert running.ask(f"read line < {secret} && echo $line") == "secret\n"
        unit.kill()

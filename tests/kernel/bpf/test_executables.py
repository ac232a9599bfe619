# SPDX-License-Identifier: Apache-2.0
"""Programs with rules of their own: found by any name, inherited by all that they start."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import egress, path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.layout import Hook
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.profile.types import Access, BpfProfile, ExecutableRules, PathRule

EACCES = f"errno {errno.EACCES}"
DENIED = "Permission denied"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Programs of all kinds that show ``secret`` and ``open``: only the names that the tests choose have rules."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "open").write_text("open")
    shutil.copy("/bin/cat", tmp_path / "tool")
    shutil.copy("/usr/bin/env", tmp_path / "starter")
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    shutil.copy("/bin/sh", tmp_path / "interpreter")
    (tmp_path / "cat").symlink_to("busybox")
    (tmp_path / "link").symlink_to("tool")
    for name, interpreter in (("script", "/bin/sh"), ("interpreted", f"{tmp_path}/interpreter")):
        (tmp_path / name).write_text(f'#!{interpreter}\ncat "$1"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


TARGETS = ("tool", "starter", "cat", "interpreter", "script")
WAYS = {
    "by path": "{0}/tool {0}/{1}",
    "relative": "cd {0} && ./tool {1}",
    "through the search path": "PATH={0} tool {0}/{1}",
    "by symlink": "{0}/link {0}/{1}",
    "multi-call program by link": "{0}/cat {0}/{1}",
    "multi-call program, relative": "cd {0} && ./cat {1}",
    "multi-call program, devious": "mkdir {0}/x && cd {0}/x && .././/x/../cat {0}/{1}; s=$?; rmdir {0}/x; exit $s",
    "script": "{0}/script {0}/{1}",
    "interpreter": "{0}/interpreter -c 'cat {0}/{1}'",
    "interpreter of a script": "{0}/interpreted {0}/{1}",
    "what it executes": "{0}/starter /bin/cat {0}/{1}",
    "what its child starts": "{0}/starter sh -c '(setsid cat {0}/{1}; exit $?)'",
    "another program with rules": "{0}/starter {0}/tool {0}/{1}",
}


def _profile(place: Path, *own: PathRule, targets: tuple[str, ...] = TARGETS) -> BpfProfile:
    """Everything may read the secret but the targets, unless they have other rules of their ``own``."""
    rules = own or (path(f"{place}/secret", Access.READ),)
    executables = tuple(f"{place}/{name}" for name in targets)
    return BpfProfile(executables=(ExecutableRules(executables, BpfProfile(paths=rules)),))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_target_has_its_own_rules(workload: Workload, place: Path, way: str) -> None:
    workload.apply(_profile(place))
    result = workload.run(way.format(place, "secret"))
    assert result.returncode != 0
    assert DENIED in result.stderr
    assert [event.path for event in workload.events()] == [f"{place}/secret"]
    assert workload.run(way.format(place, "open")).stdout == "open"
    assert workload.run(f"cat {place}/secret").stdout == "secret"  # not a target


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_same_program_without_a_policy(free: Cgroup, place: Path, way: str) -> None:
    assert free.run(way.format(place, "secret")).stdout == "secret"


def test_by_descriptor(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))
    output = place / "output"
    descriptor = os.open(place / "tool", os.O_RDONLY)

    def attack(by_name: bool) -> None:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        program = f"/proc/self/fd/{descriptor}" if by_name else descriptor
        os.execve(program, ["tool", str(place / "secret")], {})  # noqa: S606

    for by_name in (True, False):
        workload.call(lambda by_name=by_name: attack(by_name))  # type: ignore[misc]
        assert DENIED in output.read_text()
    os.close(descriptor)


def test_other_programs_are_not_touched(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place, targets=("starter",)))
    for command in ("{0}/tool", "{0}/cat", "{0}/script", "busybox cat"):
        assert workload.run(f"{command.format(place)} {place}/secret").stdout == "secret"
    assert workload.events() == []


def test_execution_itself_is_judged_by_the_rules_of_the_workload(workload: Workload, place: Path) -> None:
    inner = BpfProfile(paths=(path(f"{place}/busybox", Access.EXEC),))
    workload.apply(
        BpfProfile(
            paths=(path(f"{place}/tool", Access.EXEC),),
            executables=(ExecutableRules((f"{place}/tool", f"{place}/starter"), inner),),
        )
    )
    assert workload.run(f"{place}/tool {place}/open").returncode == 126
    assert workload.events()[-1].hook is Hook.EXEC
    assert workload.run(f"{place}/busybox true").returncode == 0
    assert workload.run(f"{place}/starter {place}/busybox true").returncode == 126  # by the rules of the starter


def test_failed_execution_changes_nothing(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))
    (place / "tool").write_bytes(b"\x7fELF broken")

    def attempt() -> str:
        try:
            os.execv(place / "tool", ["tool"])  # noqa: S606
        except OSError as error:
            assert error.errno == errno.ENOEXEC
        return (place / "secret").read_text()

    assert workload.call(attempt) == repr("secret")

    def attempt_twice() -> None:
        try:
            os.execv(place / "tool", ["tool"])  # noqa: S606
        except OSError:
            os.execv("/bin/cp", ["cp", f"{place}/secret", f"{place}/copy"])  # noqa: S606

    workload.call(attempt_twice)
    assert (place / "copy").read_text() == "secret"


def test_entrypoint_is_a_target(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))
    workload.bind(entrypoint=True)
    result = workload.cgroup.run_program([f"{place}/tool", f"{place}/secret"])
    assert DENIED in result.stderr


class _Talk:
    """A shell that runs as the target and does one line after the other."""

    def __init__(self, cgroup: Cgroup, *command: str) -> None:
        self._process = subprocess.Popen(
            command,
            preexec_fn=cgroup.enter,  # noqa: PLW1509 - as all of the tests' processes
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def say(self, command: str) -> str:
        """What a command writes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command} 2>&1; echo; echo END\n")
        lines = []
        for line in self._process.stdout:
            if line == "END\n":
                break
            lines.append(line)
        return "".join(lines).strip()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def talk(workload: Workload, place: Path) -> Iterator[_Talk]:
    """A target that runs on while its rules change."""
    workload.apply(_profile(place))
    shell = _Talk(workload.cgroup, f"{place}/interpreter")
    yield shell
    shell.close()


def test_revisions_reach_running_targets(workload: Workload, talk: _Talk, place: Path) -> None:
    read = f"cat {place}/secret"
    assert DENIED in talk.say(read)
    workload.apply(_profile(place, path(f"{place}/open", Access.READ)))
    assert talk.say(read) == "secret"
    assert DENIED in talk.say(f"cat {place}/open")
    workload.apply(_profile(place, targets=("tool",)))  # this program is no target any more
    assert talk.say(f"cat {place}/open") == "open"
    assert DENIED in talk.say(f"{place}/tool {place}/secret")
    workload.apply(_profile(place))  # and it is one again
    assert DENIED in talk.say(read)
    workload.enforcer.remove(workload.slot)
    assert talk.say(read) == "secret"
    workload.apply(BpfProfile())
    workload.bind()


def test_what_runs_already_gets_the_rules_of_its_program(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile())
    shell = _Talk(workload.cgroup, f"{place}/interpreter")
    read = f"cat {place}/secret"
    try:
        assert shell.say(read) == "secret"
        workload.apply(_profile(place))
        workload.enforcer.adopt()
        assert DENIED in shell.say(read)
        assert workload.run(read).stdout == "secret"
        assert workload.enforcer.adopt() == 0
    finally:
        shell.close()


def test_unbound_process_is_adopted_with_the_rules_of_its_program(workload: Workload, place: Path) -> None:
    workload.enforcer.unbind_cgroup(workload.cgroup.id)
    shell = _Talk(workload.cgroup, f"{place}/interpreter")
    try:
        assert shell.say(f"cat {place}/secret") == "secret"
        workload.apply(_profile(place))
        workload.bind()
        assert workload.enforcer.adopt() == 1
        assert DENIED in shell.say(f"cat {place}/secret")
    finally:
        shell.close()


def test_all_kinds_of_rules_hold_for_a_target(workload: Workload, place: Path) -> None:
    inner = BpfProfile(egress=(egress("127.0.0.0/8"),))
    workload.apply(BpfProfile(executables=(ExecutableRules((f"{place}/starter",), inner),)))
    script = "import socket; s = socket.socket(); print(s.connect_ex(('127.0.0.1', 9)))"
    command = [sys.executable, "-c", script]
    assert workload.cgroup.run_program(command).stdout.strip() == str(errno.ECONNREFUSED)
    assert workload.cgroup.run_program([f"{place}/starter", *command]).stdout.strip() == str(errno.EPERM)


def test_replaced_revisions_leave_nothing_behind(workload: Workload, place: Path) -> None:
    store = workload.enforcer._store
    maps = workload.enforcer._started()
    before = [table.free for table in (store._table, store._classes, store._ports)]
    records = len(store._records)
    for _ in range(5):
        workload.apply(_profile(place))
        assert len(maps.children.all_keys()) == len(TARGETS)
    following = BpfEnforcer(pins=workload.enforcer._pins)
    following.start()
    try:
        assert following._store._records.keys() == store._records.keys()
        assert following._store._children == store._children
        assert following._store._table.free == store._table.free
    finally:
        following.close()
    workload.apply(BpfProfile())
    assert maps.children.all_keys() == []
    assert [table.free for table in (store._table, store._classes, store._ports)] == before
    assert len(store._records) == records


KILLED = """
import os, signal, sys
from pathlib import Path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.pins import PinDirectory
from varmor.kernel.bpf.store import ProfileStore
from varmor.profile.types import Access, BpfProfile, ExecutableRules, PathRule
pins, cgroup, place, step = sys.argv[1:]
enforcer = BpfEnforcer(Settings(table_bytes=1 << 15), PinDirectory(Path(pins)))
enforcer.start()
rules = BpfProfile(paths=(PathRule(place + "/secret", Access.READ, True, True, "test"),))
target = BpfProfile(executables=(ExecutableRules((place + "/tool",), rules),))
enforcer.apply("varmor-killed", "aa" * 32, target)
enforcer.bind_cgroup(os.stat(cgroup).st_ino, "varmor-killed", 77, host_mounts=True)
write, retire = ProfileStore._write_family, ProfileStore._retire
def killed_after_writing(self, *args, **kwargs):
    write(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
def killed_before_retiring(self, number):
    os.kill(os.getpid(), signal.SIGKILL)
if step == "switch":
    ProfileStore._write_family = killed_after_writing
else:
    ProfileStore._retire = killed_before_retiring
open_too = BpfProfile(paths=(*rules.paths, PathRule(place + "/open", Access.READ, True, True, "test")))
enforcer.apply("varmor-killed", "bb" * 32, BpfProfile(executables=(ExecutableRules((place + "/tool",), open_too),)))
"""


@pytest.mark.parametrize(("step", "digest", "opens"), [("switch", "aa" * 32, True), ("retire", "bb" * 32, False)])
@pytest.mark.usefixtures("enforcer")
def test_killed_between_steps(free: Cgroup, place: Path, step: str, digest: str, opens: bool) -> None:
    pins = PinDirectory(BPFFS / "varmor_executables")
    pins.discard_all()
    try:
        command = [sys.executable, "-c", KILLED, str(pins.root), str(free.path), str(place), step]
        assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
        assert DENIED in free.run(f"{place}/tool {place}/secret").stderr
        assert (free.run(f"{place}/tool {place}/open").stdout == "open") is opens
        (pins_of,) = pins.root.iterdir()
        settings = Settings(table_bytes=1 << 15)
        assert pins_of.name == settings.digest()
        following = BpfEnforcer(settings, pins)
        following.start()
        assert following.state() == {"varmor-killed": digest}
        assert len(following._started().children.all_keys()) == 1
        assert len(following._store._records) == 2
        assert DENIED in free.run(f"{place}/tool {place}/secret").stderr
        following.detach()
    finally:
        pins.discard_all()


@pytest.mark.usefixtures("enforcer")
def test_upgrade_keeps_the_rules_of_running_programs(free: Cgroup, place: Path) -> None:
    """Of a script, too: what it runs is its interpreter, which has no rules of its own."""
    pins = PinDirectory(BPFFS / "varmor_executables")
    pins.discard_all()
    profile = _profile(place, targets=("script",))
    (place / "script").write_text('#!/bin/sh\nwhile read -r line; do eval "$line"; done\n')
    old = BpfEnforcer(Settings(table_bytes=1 << 15), pins)
    new = BpfEnforcer(Settings(table_bytes=1 << 16), pins)
    try:
        old.start()
        old.apply("varmor-upgraded", "aa" * 32, profile)
        old.bind_cgroup(free.id, "varmor-upgraded", 79, host_mounts=True)
        shell = _Talk(free, f"{place}/script")
        assert DENIED in shell.say(f"cat {place}/secret")
        new.start()
        new.apply("varmor-upgraded", "aa" * 32, profile)
        new.adopt()
        assert new.retire_previous() == 1
        assert DENIED in shell.say(f"cat {place}/secret")
        assert shell.say(f"cat {place}/open") == "open"
        assert free.run(f"cat {place}/secret").stdout == "secret"
        shell.close()
    finally:
        old.close()
        new.close()
        pins.discard_all()


def test_threads_and_namespaces_do_not_shed_the_rules(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))
    result = workload.run(f"{place}/starter unshare -m sh -c 'cat {place}/secret'")
    assert DENIED in result.stderr

    def attack() -> None:
        os.execv(f"{place}/starter", ["starter", "/bin/cp", f"{place}/secret", f"{place}/copy"])  # noqa: S606

    in_child(attack, before=workload.cgroup.enter, ready=workload.enforcer.adopt)
    assert not (place / "copy").exists() or (place / "copy").read_text() == ""

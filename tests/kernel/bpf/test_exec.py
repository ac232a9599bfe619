# SPDX-License-Identifier: Apache-2.0
"""Exec is judged on the file that runs and on the name that was given."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import path
from varmor.kernel.bpf.layout import Hook
from varmor.profile.types import Access, BpfProfile

EACCES = f"errno {errno.EACCES}"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """``tool`` (to be denied), ``other``, and applets as links to busybox."""
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    for name in ("tool", "other"):
        shutil.copy("/bin/true", tmp_path / name)
    for applet in ("id", "cat"):
        (tmp_path / applet).symlink_to("busybox")
    script = tmp_path / "script"
    script.write_text(f"#!{tmp_path}/tool\n")
    script.chmod(0o755)
    return tmp_path


ATTACKS = {
    "by path": "{0}/tool",
    "relative": "cd {0} && ./tool",
    "through the search path": "PATH={0} tool",
    "symlink": "ln -s {0}/tool {0}/link && {0}/link",
    "script": "{0}/script",
    "multi-call program by link": "{0}/id",
    "multi-call program, relative": "cd {0} && ./id",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_exec(workload: Workload, free: Cgroup, programs: Path, attack: str) -> None:
    workload.apply(BpfProfile(paths=(path("/**/tool", Access.EXEC), path("/**/id", Access.EXEC))))
    command = attack.format(programs)
    result = workload.run(command)
    assert result.returncode == 126, result
    event = workload.events()[-1]
    assert (event.hook, event.denied, event.access) == (Hook.EXEC, True, Access.EXEC)
    assert event.path.endswith(("/tool", "/id"))
    (programs / "link").unlink(missing_ok=True)
    assert free.run(command).returncode == 0


@pytest.mark.parametrize("command", ["{0}/other", "cd {0} && ./other", "{0}/cat /dev/null", "{0}/busybox true"])
def test_neighbour(workload: Workload, programs: Path, command: str) -> None:
    workload.apply(BpfProfile(paths=(path("/**/tool", Access.EXEC), path("/**/id", Access.EXEC))))
    assert workload.run(command.format(programs)).returncode == 0
    assert workload.events() == []


def test_name_without_a_slash_is_taken_from_the_working_directory(workload: Workload, programs: Path) -> None:
    workload.apply(BpfProfile(paths=(path("/**/id", Access.EXEC),)))

    def attack() -> None:
        os.chdir(programs)
        os.execv("id", ["id"])  # noqa: S606

    assert workload.call(attack) == EACCES
    assert workload.events()[-1].path == f"{programs}/id"


@pytest.mark.parametrize(
    "name", ["./id", "../{0}/id", ".././{0}//./id", "sub/../id", "sub/./../../{0}/id", "{1}/sub/..//id", "//{1}/./id"]
)
def test_devious_names_of_a_multi_call_program(workload: Workload, programs: Path, name: str) -> None:
    (programs / "sub").mkdir()
    workload.apply(BpfProfile(paths=(path(f"{programs}/id", Access.EXEC),)))

    def attack() -> None:
        os.chdir(programs)
        os.execv(name.format(programs.name, programs), ["id"])  # noqa: S606

    assert workload.call(attack) == EACCES
    assert workload.events()[-1].path == f"{programs}/id"


def test_by_descriptor(workload: Workload, programs: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{programs}/tool", Access.EXEC),)))
    descriptor = os.open(programs / "tool", os.O_RDONLY)
    assert workload.call(lambda: os.execve(descriptor, ["x"], {})) == EACCES  # noqa: S606
    assert workload.call(lambda: os.execv(f"/proc/self/fd/{descriptor}", ["x"])) == EACCES  # noqa: S606
    os.close(descriptor)


def test_memory_file_has_a_name(workload: Workload, free: Cgroup) -> None:
    workload.apply(BpfProfile(paths=(path("/memfd:*", Access.EXEC),)))

    def attack() -> None:
        descriptor = os.memfd_create("payload")
        os.write(descriptor, Path("/bin/true").read_bytes())
        os.execve(descriptor, ["x"], {})  # noqa: S606

    assert in_child(attack, before=free.enter) == ""  # the exec succeeded: nobody is left to answer
    assert workload.call(attack) == EACCES
    assert workload.events()[-1].path == "/memfd:payload"


def test_copy_under_another_name_is_another_file(workload: Workload, programs: Path) -> None:
    """A rule is about a path: what it cannot say is said by denying all but what is known (documented)."""
    workload.apply(BpfProfile(paths=(path(f"{programs}/tool", Access.EXEC),)))
    assert workload.run(f"cp {programs}/tool {programs}/copy && {programs}/copy").returncode == 0


def test_denied_read_does_not_stop_execution(workload: Workload, programs: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{programs}/tool", Access.READ),)))
    assert workload.run(f"{programs}/tool").returncode == 0
    assert workload.run(f"cat {programs}/tool").returncode != 0

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from varmor.workload.process import Processes, boot_id, unified_hierarchy

STAT = "7 (a (b) c) {} 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4250 2 3"


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    process = tmp_path / "proc/7"
    (process / "attr/apparmor").mkdir(parents=True)
    (process / "cgroup").write_text("1:cpu:/x\n0::/system.slice/web.service/sub\n")
    (process / "stat").write_text(STAT.format("S"))
    (process / "comm").write_text("nginx\n")
    (process / "cmdline").write_bytes(b"nginx\0-g\0")
    (process / "status").write_text("Name:\tx\nSeccomp_filters:\t2\n")
    (tmp_path / "cgroup/system.slice/web.service/sub").mkdir(parents=True)
    (tmp_path / "cgroup/system.slice/web.service/cgroup.procs").write_text("7\n8\n")
    return Processes(tmp_path / "proc", tmp_path / "cgroup")


def test_cgroup(processes: Processes, tmp_path: Path) -> None:
    assert processes.cgroup_path(7) == "/system.slice/web.service/sub"
    directory = tmp_path / "cgroup/system.slice/web.service"
    assert processes.cgroup_id(7) == (directory / "sub").stat().st_ino
    assert processes.cgroup_ids(7) == [
        (directory / "sub").stat().st_ino,
        directory.stat().st_ino,
        directory.parent.stat().st_ino,
    ]
    assert processes.members("/system.slice/web.service") == [7, 8]


def test_paths_do_not_climb(processes: Processes) -> None:
    assert processes.cgroup_inode("/system.slice/..") == 0


def test_a_process_that_is_gone(processes: Processes) -> None:
    assert (processes.cgroup_path(9), processes.cgroup_id(9), processes.mount_namespace(9)) == ("", 0, 0)
    assert (processes.apparmor_label(9), processes.seccomp_filters(9), processes.started_at(9)) == ("", -1, 0.0)
    assert not processes.alive(9)
    assert not processes.alive(0)


def test_labels_of_both_interfaces(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "proc/7/attr/current").write_text("old (enforce)\n")
    assert processes.apparmor_label(7) == "old (enforce)"
    (tmp_path / "proc/7/attr/apparmor/current").write_text("varmor-a (enforce)\n\0")
    assert processes.apparmor_label(7) == "varmor-a (enforce)"


def test_numbers(processes: Processes) -> None:
    assert processes.seccomp_filters(7) == 2
    assert processes.started_at(7) == 4250 / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("state", "alive"), [("S", True), ("R", True), ("Z", False), ("X", False)])
def test_zombies_are_not_alive(processes: Processes, tmp_path: Path, state: str, alive: bool) -> None:
    (tmp_path / "proc/7/stat").write_text(STAT.format(state))
    assert processes.alive(7) is alive


@pytest.mark.parametrize(
    ("comm", "cmdline", "setting_up"),
    [
        ("runc:[2:INIT]", b"runc\0init\0", True),
        ("crun", b"/usr/bin/crun\0create\0", True),
        ("3", b"/proc/self/exe\0", True),
        ("3", b"/app/3\0", False),
        ("nginx", b"nginx\0", False),
    ],
)
def test_the_runtimes_own_code_is_recognised(
    processes: Processes, tmp_path: Path, comm: str, cmdline: bytes, setting_up: bool
) -> None:
    (tmp_path / "proc/7/comm").write_text(f"{comm}\n")
    (tmp_path / "proc/7/cmdline").write_bytes(cmdline)
    assert processes.being_set_up(7) is setting_up


def test_where_the_unified_hierarchy_is(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text("cgroup /c cgroup rw 0 0\ncgroup2 /my\\040cg cgroup2 rw 0 0\n")
    assert unified_hierarchy(tmp_path / "mounts") == Path("/my cg")
    assert unified_hierarchy(tmp_path / "none") is None
    assert Processes(tmp_path, None).cgroup_inode("/x") == 0


def test_this_process_has_facts() -> None:
    real = Processes()
    assert real.alive(os.getpid())
    assert real.mount_namespace(os.getpid()) > 0
    assert real.started_at(os.getpid()) > 0
    assert len(boot_id()) == 36

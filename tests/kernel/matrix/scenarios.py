# SPDX-License-Identifier: Apache-2.0
"""The scenario of each built-in rule."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kernel.matrix import capability_steps, mount_steps, network_steps, surface_steps
from tests.kernel.matrix.calls import mount
from tests.kernel.matrix.file_steps import (
    at,
    away_ways,
    both,
    covered,
    covered_file,
    displace_ways,
    make,
    metadata_ways,
    on_stage,
    read,
    readable,
    second_procfs,
    truncate_ways,
    writable,
    write,
)
from tests.kernel.matrix.program_steps import program
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step

_PROC_SETUP, _OTHER_CORE_PATTERN = second_procfs("sys/kernel/core_pattern")
_CORE_PATTERN = at("/proc/sys/kernel/core_pattern")
_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
_ETC = "/etc/matrix.d"


def _version_1(stage: Stage) -> None:
    """A hierarchy of the first version, where it used to be."""
    mount("none", "/sys/fs/cgroup", "tmpfs")
    folder = Path("/sys/fs/cgroup/matrix")
    folder.mkdir()
    mount("none", folder, "cgroup", data="none,name=matrix")
    stage.file("other")


def _inside(*names: str) -> dict[str, Step | Evasion]:
    return {name: read(at(f"/proc/self/{name}")) for name in names}


def _other_processes(name: str) -> dict[str, Step | Evasion]:
    return {
        "of the parent": lambda _stage: Path(f"/proc/{os.getppid()}/{name}").read_bytes(),
        "of the thread": read(at(f"/proc/thread-self/{name}")),
        "of a task": lambda _stage: Path(f"/proc/self/task/{os.getpid()}/{name}").read_bytes(),
    }


def _etc_new(stage: Stage) -> None:
    path = Path(_ETC) / "new"
    path.write_text("x")
    path.unlink()


def _etc_rename(_stage: Stage) -> None:
    Path(f"{_ETC}/file").rename(f"{_ETC}/renamed")
    Path(f"{_ETC}/renamed").rename(f"{_ETC}/file")


def _etc_unlink(_stage: Stage) -> None:
    Path(f"{_ETC}/file").unlink()
    Path(f"{_ETC}/file").touch()


_ETC_FILE = at(f"{_ETC}/file")
_RELEASE_AGENT = at("/sys/fs/cgroup/matrix/release_agent")

FILES: dict[str, Scenario] = {
    "disallow-write-core-pattern": writable(
        _CORE_PATTERN,
        read(_CORE_PATTERN),
        write(at("/proc/sys/kernel/shm_rmid_forced")),
        setup=_PROC_SETUP,
        extra={
            "another procfs": write(_OTHER_CORE_PATTERN),
            "O_TRUNC": truncate_ways(_CORE_PATTERN)["open with O_TRUNC"],
        },
    ),
    "disallow-write-release-agent": writable(
        _RELEASE_AGENT,
        read(_RELEASE_AGENT),
        write(at("/sys/fs/cgroup/matrix/notify_on_release")),
        setup=_version_1,
    ),
    "disallow-access-kallsyms": readable(at("/proc/kallsyms"), at("/proc/version")),
    "mitigate-sa-leak": readable(
        at(f"{_ACCOUNT}/token"),
        at("/run/secrets/other/file"),
        setup=both(covered("/run/secrets/other", "file"), covered(_ACCOUNT, "token", "..data/token")),
        extra={
            "/var/run": read(at(f"/var{_ACCOUNT}/token")),
            "..data": read(at(f"{_ACCOUNT}/..data/token")),
        },
    ),
    "mitigate-disk-device-number-leak": readable(
        at("/proc/partitions"),
        at("/proc/meminfo"),
        extra={"mountinfo": read(at("/proc/self/mountinfo")), **_other_processes("mountinfo")},
    ),
    "mitigate-overlayfs-leak": readable(
        at("/proc/self/mountinfo"),
        at("/proc/self/status"),
        extra={"/proc/mounts": read(at("/proc/mounts")), **_inside("mounts"), **_other_processes("mounts")},
    ),
    "mitigate-host-ip-leak": readable(
        at("/proc/net/arp"),
        at("/proc/net/tcp"),
        extra={**_inside("net/arp"), **_other_processes("net/arp")},
    ),
    "disable-write-etc": writable(
        _ETC_FILE,
        read(_ETC_FILE),
        write(on_stage("etc/file")),
        setup=both(covered(_ETC, "file"), make("etc/file")),
        extra={
            "create": _etc_new,
            **truncate_ways(_ETC_FILE),
            "rename": _etc_rename,
            "unlink": _etc_unlink,
            **metadata_ways(_ETC_FILE),
            "make a directory": lambda _stage: Path(f"{_ETC}/folder").mkdir(),
            "symbolic link in it": lambda _stage: Path(f"{_ETC}/symlink").symlink_to("/tmp"),
            "hard link in it": lambda _stage: os.link(f"{_ETC}/file", f"{_ETC}/hard"),
        },
    ),
    "disable-access-passwd": readable(
        at("/etc/passwd"),
        at("/etc/group"),
        setup=covered_file("/etc/passwd"),
        extra={"writing": write(at("/etc/passwd"))},
    ),
    "disable-access-shadow": readable(
        at("/etc/shadow"),
        at("/etc/group"),
        setup=covered_file("/etc/shadow"),
        extra={"writing": write(at("/etc/shadow"))},
    ),
    "disable-access-ssh-dir": readable(
        on_stage("home/user/.ssh/id_rsa"),
        on_stage("home/user/.sshx/file"),
        setup=make("home/user/.ssh/id_rsa", "home/user/.sshx/file", "home/user/.ssh/authorized_keys"),
        extra={
            "writing": write(on_stage("home/user/.ssh/authorized_keys")),
            **away_ways(on_stage("home/user/.ssh/id_rsa")),
        },
    ),
    "disable-write-skills": writable(
        on_stage("app/skills/tool/SKILL.md"),
        read(on_stage("app/skills/tool/SKILL.md")),
        write(on_stage("app/skill/file")),
        setup=make("app/skills/tool/SKILL.md", "app/skill/file"),
        extra={
            **truncate_ways(on_stage("app/skills/tool/SKILL.md")),
            **displace_ways(on_stage("app/skills/tool/SKILL.md")),
            **metadata_ways(on_stage("app/skills/tool/SKILL.md")),
            "create": lambda stage: (stage.directory / "app/skills/new").write_text("x"),
        },
    ),
    "cgroups-lxcfs-escape-mitigation": writable(
        on_stage("lxcfs/cgroup/devices/devices.allow"),
        write(on_stage("lxcfs/cgroup/memory/limit")),
        setup=make(
            "lxcfs/cgroup/devices/devices.allow", "lxcfs/cgroup/devices/a/b/devices.allow", "lxcfs/cgroup/memory/limit",
            "lxcfs/cgroup/memory/release_agent", "lxcfs/cgroup/devices/cgroup.procs", "lxcfs/cgroup/devices/a/tasks",
            "lxcfs/cgroup/devices/a/cgroup.procs",
        ),
        extra={
            "deeper": write(on_stage("lxcfs/cgroup/devices/a/b/devices.allow")),
            "release_agent": write(on_stage("lxcfs/cgroup/memory/release_agent")),
            "cgroup.procs": write(on_stage("lxcfs/cgroup/devices/a/cgroup.procs")),
            "tasks": write(on_stage("lxcfs/cgroup/devices/a/tasks")),
        },
    ),
    "runc-override-mitigation": writable(
        on_stage("usr/bin/runc"),
        read(on_stage("usr/bin/runc")),
        write(on_stage("usr/bin/runc-other")),
        setup=make("usr/bin/runc", "usr/bin/runc-other"),
        extra={
            **truncate_ways(on_stage("usr/bin/runc")),
            **displace_ways(on_stage("usr/bin/runc")),
        },
    ),
}  # fmt: skip

PROGRAMS: dict[str, Scenario] = {
    "disable-busybox": program("busybox"),
    "disable-shell": program("sh", "bash", "dash"),
    "disable-wget": program("wget", neighbours=("curl",)),
    "disable-curl": program("curl", neighbours=("wget",)),
    "disable-chmod": program("chmod", neighbours=("chown",)),
    "disable-su-sudo": program("su", "sudo", neighbours=("sum",)),
}

SCENARIOS: dict[str, Scenario] = {
    **capability_steps.SCENARIOS,
    **mount_steps.SCENARIOS,
    **network_steps.SCENARIOS,
    **surface_steps.SCENARIOS,
    **FILES,
    **PROGRAMS,
}

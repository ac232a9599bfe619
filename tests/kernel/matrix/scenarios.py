# SPDX-License-Identifier: Apache-2.0
"""The scenario of each built-in rule."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kernel.matrix import capability_scenarios, mount_steps, network_steps, surface_steps
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
    read_only,
    readable,
    second_procfs,
    truncate_ways,
    writable,
    write,
)
from tests.kernel.matrix.mount_steps import new, new_by_descriptors
from tests.kernel.matrix.program_steps import program
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step, passes
from varmor.policy.types import Enforcer

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


def _changes(folder: str) -> dict[str, Step | Evasion]:
    """Changes to a directory that has a file ``file``."""
    path = Path(folder)

    def create(_stage: Stage) -> None:
        (path / "new").write_text("x")
        (path / "new").unlink()

    def rename(_stage: Stage) -> None:
        (path / "file").rename(path / "renamed")
        (path / "renamed").rename(path / "file")

    def unlink(_stage: Stage) -> None:
        (path / "file").unlink()
        (path / "file").touch()

    return {
        "create": create,
        "rename": rename,
        "unlink": unlink,
        "make a directory": lambda _stage: (path / "folder").mkdir(),
        "symbolic link in it": lambda _stage: (path / "symlink").symlink_to("/tmp"),
        "hard link in it": lambda _stage: os.link(path / "file", path / "hard"),
    }


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
            **truncate_ways(_ETC_FILE),
            **_changes(_ETC),
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

_MEMORY = at("/proc/kcore")
_TRACING = at("/sys/kernel/tracing/current_tracer")
_STARTUP = on_stage("etc/cron.d/job")
_SYSTEM = "/usr/local/libexec"


def _secrets(*names: str) -> Scenario:
    """A rule against reading and writing files of people, wherever their directories are."""
    first, *rest = (on_stage(f"home/user/{name}") for name in names)
    return readable(
        first,
        on_stage("home/user/other"),
        setup=make("home/user/other", *(f"home/user/{name}" for name in names)),
        extra={
            "writing": write(first),
            **away_ways(first),
            **{f"file {name}": read(place) for name, place in zip(names[1:], rest, strict=True)},
        },
    )


NEWER: dict[str, Scenario] = {
    "disable-access-cloud-credentials": _secrets(
        ".aws/credentials", ".config/gcloud/credentials.db", ".docker/config.json", ".azure/accessTokens.json"
    ),
    "disable-access-cluster-credentials": _secrets(
        ".kube/config", "etc/kubernetes/admin.conf", "var/lib/kubelet/pki/kubelet.key"
    ),
    "disable-access-developer-credentials": _secrets(".gnupg/private-keys-v1.d/key", ".netrc", ".npmrc"),
    "disable-access-shell-history": readable(
        on_stage("home/user/.bash_history"),
        on_stage("home/user/.bashrc"),
        setup=make("home/user/.bash_history", "home/user/.bashrc", "home/user/.psql_history"),
        extra={
            "writing": write(on_stage("home/user/.bash_history")),
            "of a database": read(on_stage("home/user/.psql_history")),
        },
    ),
    "disable-write-startup-files": writable(
        _STARTUP,
        read(_STARTUP),
        write(on_stage("etc/other")),
        setup=make(
            "etc/cron.d/job", "etc/other", "etc/ld.so.preload", "home/user/.bashrc", "lib/systemd/system/x.service"
        ),
        extra={
            **truncate_ways(_STARTUP),
            **displace_ways(_STARTUP),
            **metadata_ways(_STARTUP),
            "create": lambda stage: (stage.directory / "etc/cron.d/new").write_text("x"),
            "preload": write(on_stage("etc/ld.so.preload")),
            "shell": write(on_stage("home/user/.bashrc")),
            "unit": write(on_stage("lib/systemd/system/x.service")),
        },
    ),
    "disable-write-system-directories": writable(
        at(f"{_SYSTEM}/file"),
        read(at(f"{_SYSTEM}/file")),
        write(on_stage("opt/file")),
        setup=both(covered(_SYSTEM, "file"), make("opt/file")),
        extra={**truncate_ways(at(f"{_SYSTEM}/file")), **metadata_ways(at(f"{_SYSTEM}/file")), **_changes(_SYSTEM)},
    ),
    "disallow-access-kernel-memory": readable(
        _MEMORY,
        at("/proc/meminfo"),
        extra={"/dev/mem": read_only("/dev/mem"), "/proc/kpageflags": read_only("/proc/kpageflags")},
    ),
    "disallow-access-kernel-tracing": readable(
        _TRACING,
        at("/sys/kernel/mm/transparent_hugepage/enabled"),
        extra={
            "mount debugfs": new("debugfs"),
            "mount tracefs": new("tracefs"),
            "mount by newer calls": passes(new_by_descriptors("debugfs"), Enforcer.APPARMOR),
        },
    ),
    "disallow-sysrq": writable(
        at("/proc/sysrq-trigger"),
        read(at("/proc/sys/kernel/sysrq")),
        write(at("/proc/sys/kernel/shm_rmid_forced")),
        setup=_PROC_SETUP,
        extra={"switch": write(at("/proc/sys/kernel/sysrq")), "another procfs": write(on_stage("proc/sysrq-trigger"))},
    ),
    "disallow-write-usermode-helper": writable(
        at("/proc/sys/kernel/modprobe"),
        read(at("/proc/sys/kernel/modprobe")),
        write(at("/proc/sys/kernel/shm_rmid_forced")),
        extra={
            "poweroff": write(at("/proc/sys/kernel/poweroff_cmd")),
            "mount binfmt_misc": new("binfmt_misc"),
            "mount by newer calls": passes(new_by_descriptors("binfmt_misc"), Enforcer.APPARMOR),
        },
    ),
}

PROGRAMS: dict[str, Scenario] = {
    "disable-busybox": program("busybox"),
    "disable-shell": program("sh", "bash", "dash"),
    "disable-wget": program("wget", neighbours=("curl",)),
    "disable-curl": program("curl", neighbours=("wget",)),
    "disable-chmod": program("chmod", neighbours=("chown",)),
    "disable-su-sudo": program("su", "sudo", neighbours=("sum",)),
    "disable-account-tools": program("passwd", "useradd", neighbours=("pass",)),
    "disable-compilers": program("gcc", "x86_64-linux-gnu-gcc-12", "cc1", neighbours=("gccgo-tool",)),
    "disable-container-clients": program("kubectl", "crictl", neighbours=("kubectlx",)),
    "disable-interpreters": program("python3", "perl", "node", neighbours=("pythonx",)),
    "disable-namespace-tools": program("nsenter", "unshare", neighbours=("mountpoint",)),
    "disable-network-tools": program("nc", "socat", neighbours=("ncdu",)),
    "disable-package-managers": program("apt-get", "pip3", neighbours=("aptx",)),
    "pwnkit-mitigation": program("pkexec", neighbours=("pkcheck",)),
}

SCENARIOS: dict[str, Scenario] = {
    **capability_scenarios.SCENARIOS,
    **mount_steps.SCENARIOS,
    **network_steps.SCENARIOS,
    **surface_steps.SCENARIOS,
    **FILES,
    **NEWER,
    **PROGRAMS,
}

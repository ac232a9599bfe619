# SPDX-License-Identifier: Apache-2.0
"""Facts of live processes, from /proc and the unified cgroup hierarchy."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNTS = "self/mounts"
_LONGEST_LABEL = 4096


class Processes:
    """Reads one process at a time. A process that is gone gives 0 or an empty text, never an error."""

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path | None = None) -> None:
        self._proc = proc
        self._cgroups = cgroups if cgroups is not None else unified_hierarchy(proc / _MOUNTS)

    def cgroup_path(self, pid: int) -> str:
        """The process's place in the unified hierarchy, such as ``/system.slice/nginx.service``; empty when gone."""
        for line in self._text(pid, "cgroup").splitlines():
            if line.startswith("0::"):
                return line[3:]
        return ""

    def cgroup_id(self, pid: int) -> int:
        """Inode of the process's cgroup in the unified hierarchy; 0 when there is none."""
        path = self.cgroup_path(pid)
        return self.cgroup_inode(path) if path else 0

    def cgroup_ids(self, pid: int) -> list[int]:
        """Inodes of the process's cgroup and those above it, nearest first."""
        path = self.cgroup_path(pid)
        found = []
        while path and path != "/":
            found.append(self.cgroup_inode(path))
            path = path.rpartition("/")[0]
        return [inode for inode in found if inode]

    def cgroup_inode(self, path: str) -> int:
        """Inode of a cgroup by its path in the unified hierarchy; 0 when there is none."""
        if self._cgroups is None or "/../" in f"{path}/":
            return 0
        try:
            return (self._cgroups / path.lstrip("/")).stat().st_ino
        except OSError:
            return 0

    def members(self, path: str) -> list[int]:
        """The processes directly in a cgroup."""
        if self._cgroups is None:
            return []
        try:
            text = (self._cgroups / path.lstrip("/") / "cgroup.procs").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(word) for word in text.split()]

    def mount_namespace(self, pid: int) -> int:
        """Inode of the process's mount namespace; 0 when it is gone."""
        try:
            return (self._proc / str(pid) / "ns/mnt").stat().st_ino
        except OSError:
            return 0

    def apparmor_label(self, pid: int) -> str:
        """The AppArmor label with its mode, ``varmor-default-web (enforce)``; empty when unknown."""
        for name in ("attr/apparmor/current", "attr/current"):
            label = self._text(pid, name)[:_LONGEST_LABEL].strip("\0\n ")
            if label:
                return label
        return ""

    def seccomp_filters(self, pid: int) -> int:
        """Number of seccomp filters on the process; -1 when it is gone or the kernel does not say."""
        for line in self._text(pid, "status").splitlines():
            if line.startswith("Seccomp_filters:"):
                return int(line.split()[1])
        return -1

    def started_at(self, pid: int) -> float:
        """Seconds from boot to the start of the process; 0 when it is gone."""
        stat = self._text(pid, "stat")
        fields = stat[stat.rfind(")") + 2 :].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else 0.0

    def being_set_up(self, pid: int) -> bool:
        """Whether the process is still the runtime's own code, before the container's entrypoint.

        runc names itself ``runc:[2:INIT]`` until it executes the entrypoint; crun goes on as ``crun`` or, when it
        runs from a memory file, as a number.
        """
        name = self._text(pid, "comm").strip()
        if name.startswith("runc:["):
            return True
        if name != "crun" and not name.isdigit():
            return False
        program = self._text(pid, "cmdline").split("\0")[0]
        return program == "/proc/self/exe" or program.rpartition("/")[2] == "crun"

    def alive(self, pid: int) -> bool:
        """Whether the process exists and is not a zombie."""
        stat = self._text(pid, "stat")
        return bool(stat) and stat[stat.rfind(")") + 2 :][:1] not in ("Z", "X", "")

    def _text(self, pid: int, name: str) -> str:
        try:
            return (self._proc / str(pid) / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def unified_hierarchy(mounts: Path = Path("/proc/self/mounts")) -> Path | None:
    """Where the cgroup v2 hierarchy is mounted, None when it is not."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split(" ")
        if len(words) > 2 and words[2] == "cgroup2":
            return Path(words[1].replace("\\040", " "))
    return None


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """The kernel's name for this boot; empty when it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""

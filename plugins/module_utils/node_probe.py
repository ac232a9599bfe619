# SPDX-License-Identifier: BSD-2-Clause
"""What a node offers before anything is installed on it: kernel, enforcers, runtimes.

Reads files below a root folder only, so that a test can hand it a made-up node; starts no program and changes nothing.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

PROGRAM_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin")
RUNTIMES = ("runc", "crun", "containerd", "dockerd", "podman")
DOCKER_SETTINGS = "etc/docker/daemon.json"
CONTAINERD_SETTINGS = "etc/containerd/config.toml"
_BINARY_NAME = re.compile(r"^\s*BinaryName\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
_SECCOMP_ACTIONS = ("errno", "log")


class NodeProbe:
    """Reads one node below ``root``."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)

    def report(self) -> dict[str, Any]:
        """All that is known, as the module C(node_info) returns it."""
        return {
            "os": self.operating_system(),
            "architecture": os.uname().machine,
            "kernel": os.uname().release,
            "systemd": (self._root / "run/systemd/system").is_dir(),
            "lsm": self.lsm(),
            "enforcers": {
                "AppArmor": _support(self.apparmor_problem()),
                "BPF": _support(self.bpf_problem()),
                "Seccomp": _support(self.seccomp_problem()),
            },
            "runtimes": self.runtimes(),
            "package": self.package_version("varmor"),
        }

    def operating_system(self) -> dict[str, str]:
        """The keys C(id), C(version) and C(codename) of /etc/os-release; empty when it does not say."""
        text = self._read("etc/os-release")
        pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line]
        values = {key: value.strip("\"'") for key, value in pairs}
        return {
            "id": values.get("ID", ""),
            "version": values.get("VERSION_ID", ""),
            "codename": values.get("VERSION_CODENAME", ""),
        }

    def lsm(self) -> list[str]:
        """The active security modules of the kernel; empty when securityfs is not mounted."""
        return [name for name in self._read("sys/kernel/security/lsm").strip().split(",") if name]

    def apparmor_problem(self) -> str:
        """Why AppArmor cannot be used here; empty when it can."""
        if not self._read("sys/module/apparmor/parameters/enabled"):
            return "the kernel is built without AppArmor (/sys/module/apparmor is missing)"
        if "apparmor" not in self.lsm():
            return self._not_active("apparmor")
        return ""

    def bpf_problem(self) -> str:
        """Why BPF-LSM cannot be used here; empty when it can."""
        if "bpf" not in self.lsm():
            return self._not_active("bpf")
        if not (self._root / "sys/kernel/btf/vmlinux").exists():
            return "the kernel offers no type information (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF"
        if not (self._root / "sys/fs/cgroup/cgroup.controllers").exists():
            return "/sys/fs/cgroup is not cgroup v2: boot with systemd.unified_cgroup_hierarchy=1"
        return ""

    def seccomp_problem(self) -> str:
        """Why seccomp cannot be used here; empty when it can."""
        available = self._read("proc/sys/kernel/seccomp/actions_avail").split()
        if not available:
            return "the kernel is built without seccomp filters (/proc/sys/kernel/seccomp is missing)"
        missing = [action for action in _SECCOMP_ACTIONS if action not in available]
        return f"the kernel lacks the seccomp actions {', '.join(missing)}" if missing else ""

    def runtimes(self) -> dict[str, dict[str, Any]]:
        """The container runtimes that are installed, by the name of their program."""
        found: dict[str, dict[str, Any]] = {}
        for name in RUNTIMES:
            path = self._program(name)
            if path:
                found[name] = {"path": path}
        if "containerd" in found:
            found["containerd"]["explicit_runtimes"] = _BINARY_NAME.findall(self._read(CONTAINERD_SETTINGS))
            found["containerd"]["search_path"] = self.search_path_of("containerd")
        if "dockerd" in found:
            found["dockerd"]["settings"] = self._docker_settings()
        return found

    def search_path_of(self, program: str) -> list[str]:
        """The folders in PATH of a running program, found by its name; empty when it does not run."""
        for process in (self._root / "proc").glob("[0-9]*"):
            if self._read(f"proc/{process.name}/comm").strip() == program:
                for variable in self._read(f"proc/{process.name}/environ").split("\0"):
                    if variable.startswith("PATH="):
                        return variable[len("PATH=") :].split(":")
        return []

    def package_version(self, package: str) -> str:
        """The installed version of a Debian package; empty when it is not installed."""
        for stanza in self._read("var/lib/dpkg/status").split("\n\n"):
            if not stanza.lstrip("\n").startswith(f"Package: {package}\n"):
                continue
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line))
            return fields.get("Version", "") if fields.get("Status", "").endswith(" installed") else ""
        return ""

    def _docker_settings(self) -> dict[str, Any]:
        text = self._read(DOCKER_SETTINGS)
        if not text.strip():
            return {}
        try:
            settings = json.loads(text)
        except ValueError as error:
            raise ValueError(f"/{DOCKER_SETTINGS} is not JSON ({error}): mend it, dockerd refuses it too") from error
        if not isinstance(settings, dict):
            raise TypeError(f"/{DOCKER_SETTINGS} holds a {type(settings).__name__}; expected an object")
        return settings

    def _not_active(self, name: str) -> str:
        active = self.lsm()
        if not active:
            return "/sys/kernel/security/lsm cannot be read: mount securityfs"
        wanted = ",".join([*active, name])
        return f"`{name}` is not among the active security modules; boot with lsm={wanted} on the kernel command line"

    def _program(self, name: str) -> str:
        for folder in PROGRAM_FOLDERS:
            if os.access(self._root / folder / name, os.X_OK):
                return f"/{folder}/{name}"
        return ""

    def _read(self, relative: str) -> str:
        try:
            return (self._root / relative).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _support(problem: str) -> dict[str, Any]:
    return {"ok": not problem, "reason": problem}

# SPDX-License-Identifier: Apache-2.0
"""What this node can do, asked once at start, as plain data for the status."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from varmor.kernel import audit, programs
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.apparmor_parser import AppArmorError
from varmor.kernel.lsm import active_modules
from varmor.kernel.seccomp import SeccompFiles
from varmor.kernel.support import Support

_MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The node as found. ``enforcers`` and ``records`` say why something is missing; ``records`` is about what can be
    recorded of denials; ``apparmor_parser`` is ``(0, 0)`` without a parser; ``programs`` are the container programs
    with their versions.
    """

    kernel: str
    machine: str
    security_modules: tuple[str, ...]
    cgroup_v2: bool
    enforcers: Mapping[str, Support]
    records: Mapping[str, Support]
    apparmor_parser: tuple[int, int] = (0, 0)
    apparmor_abi: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)

    @property
    def kernel_version(self) -> tuple[int, int]:
        """Major and minor version of Linux; ``(0, 0)`` for a release that does not begin with them."""
        found = re.match(r"(\d+)\.(\d+)", self.kernel)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kernel": self.kernel,
            "machine": self.machine,
            "securityModules": list(self.security_modules),
            "cgroupV2": self.cgroup_v2,
            "enforcers": _answers(self.enforcers),
            "records": _answers(self.records),
            "apparmorParser": ".".join(str(part) for part in self.apparmor_parser),
            "programs": dict(self.programs),
        }


def probe(apparmor: AppArmor | None = None, seccomp: SeccompFiles | None = None) -> NodeReport:
    """Look at the node. The BPF enforcer answers for itself: its ``supported()`` loads a program."""
    apparmor = apparmor or AppArmor()
    seccomp = seccomp or SeccompFiles()
    return NodeReport(
        kernel=platform.release(),
        machine=platform.machine(),
        security_modules=active_modules(),
        cgroup_v2=_cgroup_v2(),
        enforcers={"AppArmor": apparmor.supported(), "Seccomp": seccomp.supported()},
        records={"Audit": audit.supported(), "Seccomp": seccomp.records_denials()},
        apparmor_parser=_parser_version(apparmor),
        apparmor_abi=apparmor.parser.abi_files(),
        programs=programs.versions(),
    )


def _answers(support: Mapping[str, Support]) -> dict[str, dict[str, Any]]:
    return {name: {"ok": answer.ok, "reason": answer.reason} for name, answer in support.items()}


def _parser_version(apparmor: AppArmor) -> tuple[int, int]:
    try:
        return apparmor.parser.version()
    except AppArmorError:
        return (0, 0)


def _cgroup_v2(mounts: Path = _MOUNTS) -> bool:
    """Whether the unified hierarchy is the node's only one, mounted where everybody looks."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split(" ")[1:3] == ["/sys/fs/cgroup", "cgroup2"] for line in lines)

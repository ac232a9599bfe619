# SPDX-License-Identifier: Apache-2.0
"""Questions and commands to systemd, by systemctl."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from varmor.errors import VarmorError

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|scope|socket|mount|swap)")
_RELOAD_SECONDS = 90.0


class UnitError(VarmorError):
    """A systemd unit that cannot be examined or configured."""


class Systemctl:
    """The system manager of the node. ``seconds`` is how long a question may take."""

    def __init__(self, program: Sequence[str] = ("systemctl",), seconds: float = 15.0) -> None:
        self._program = tuple(program)
        self._seconds = seconds

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, loaded or not, running or not.

        Raises:
            UnitError: the name is not a unit's, or systemd does not answer.
        """
        words = ["show", "--property", ",".join(properties), "--", checked(unit)]
        lines = self._run(words, self._seconds).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def reload(self) -> None:
        """Have systemd read its unit files again.

        Raises:
            UnitError: it did not.
        """
        self._run(["daemon-reload"], _RELOAD_SECONDS)

    def _run(self, words: Sequence[str], seconds: float) -> str:
        try:
            done = subprocess.run(
                [*self._program, "--no-pager", *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise UnitError(f"systemctl {' '.join(words)}: {error.stderr.strip()[:500]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnitError(f"systemctl {' '.join(words)}: {error}") from error
        return done.stdout


def checked(unit: str) -> str:
    """The unit name itself, when it is safe as an argument and in a path.

    Raises:
        UnitError: it is not, or is of a type that runs no processes.
    """
    if not _UNIT.fullmatch(unit) or unit.startswith((".", "-")):
        raise UnitError(f"unit {unit!r}: expected a full name such as nginx.service (service, scope, socket, mount)")
    return unit


def cgroup_of(unit: str, slice_: str) -> str:
    """Where systemd puts the unit's cgroup: ``/system.slice/nginx.service``."""
    path = ""
    name = slice_.removesuffix(".slice")
    if slice_ and name != "-":
        parts = name.split("-")
        path = "".join(f"/{_escaped('-'.join(parts[:end]) + '.slice')}" for end in range(1, len(parts) + 1))
    return f"{path}/{_escaped(unit)}"


_CONTROLLERS = frozenset({"cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids"})


def _escaped(name: str) -> str:
    """The spelling of a cgroup name that could otherwise be taken for one of the kernel's own files."""
    own = name.startswith(("_", ".", "cgroup.")) or name in ("notify_on_release", "release_agent", "tasks")
    return f"_{name}" if own or name.partition(".")[0] in _CONTROLLERS else name

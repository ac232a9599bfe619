# SPDX-License-Identifier: Apache-2.0
"""systemd units: where their cgroup is, what runs in them, and the drop-in that carries their profile."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

from varmor import atomic_file
from varmor.profile.types import UnitSettings
from varmor.workload.process import Processes, boot_id
from varmor.workload.systemctl import Systemctl, UnitError, cgroup_of, checked

DROP_IN = "50-varmor.conf"
READY = Path("/run/varmor/ready")
DAEMON_UNIT = "varmord.service"
_HEADER = "# Written by varmord: do not edit, the daemon replaces it."
_STAMP = re.compile(r"^# Written in boot ([0-9a-f-]*) at ([0-9.]+) s\.$", re.MULTILINE)
_SECTIONS = {"service": "Service", "socket": "Socket", "mount": "Mount", "swap": "Swap"}
_LOG = logging.getLogger(__name__)


class Units:
    """The units of the node.

    ``fail_closed``: a unit with a profile does not start before the daemon has been ready once since boot. Otherwise
    it waits for the daemon but starts without it, and without an AppArmor profile that is not loaded.
    """

    def __init__(
        self,
        directory: Path = Path("/etc/systemd/system"),
        *,
        fail_closed: bool = False,
        systemctl: Systemctl | None = None,
        processes: Processes | None = None,
        ready: Path = READY,
    ) -> None:
        self._directory = directory
        self._fail_closed = fail_closed
        self._systemctl = systemctl or Systemctl()
        self._processes = processes or Processes()
        self._ready = ready

    def exists(self, unit: str) -> bool:
        """Whether systemd knows a unit of this name."""
        return self._systemctl.show(unit, "LoadState").get("LoadState") == "loaded"

    def cgroup_path(self, unit: str) -> str:
        """Where the unit's cgroup is, or will be when it starts: ``/system.slice/nginx.service``.

        Raises:
            UnitError: systemd does not answer, or the name is not a unit's.
        """
        answer = self._systemctl.show(unit, "ControlGroup", "Slice", "Id")
        return answer.get("ControlGroup") or cgroup_of(
            answer.get("Id") or unit, answer.get("Slice") or _default_slice(unit)
        )

    def main_pid(self, unit: str) -> int:
        """The unit's main process, else the first in its cgroup; 0 when it does not run.

        Raises:
            UnitError: systemd does not answer, or the name is not a unit's.
        """
        answer = self._systemctl.show(unit, "MainPID", "ControlGroup")
        pid = int(answer.get("MainPID") or 0)
        if pid:
            return pid
        group = answer.get("ControlGroup")
        return next(iter(self._processes.members(group)), 0) if group else 0

    def write_drop_in(self, unit: str, settings: UnitSettings) -> bool:
        """Make the drop-in say this; whether it changed. systemd sees it after :meth:`reload`.

        Raises:
            UnitError: the unit cannot take it, or the file cannot be written.
        """
        if unit == DAEMON_UNIT:
            raise UnitError(f"unit {unit}: the daemon cannot confine itself; choose another unit")
        path = self._path(unit)
        body = self._body(unit, settings)
        if _without_stamp(_text(path)) == f"{_HEADER}\n{body}":
            return False
        stamp = f"# Written in boot {boot_id()} at {time.clock_gettime(time.CLOCK_BOOTTIME):.2f} s."
        try:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            atomic_file.replace_text(path, f"{_HEADER}\n{stamp}\n{body}", 0o644)
        except OSError as error:
            raise UnitError(f"unit {unit}: {path}: {error.strerror}") from error
        return True

    def remove_drop_in(self, unit: str) -> bool:
        """Remove the drop-in; whether there was one.

        Raises:
            UnitError: it cannot be removed.
        """
        path = self._path(unit)
        try:
            removed = path.parent.is_dir() and atomic_file.remove(path)
            if removed and not any(path.parent.iterdir()):
                path.parent.rmdir()
        except OSError as error:
            raise UnitError(f"unit {unit}: {path}: {error.strerror}") from error
        return removed

    def drop_ins(self) -> set[str]:
        """Units that have a drop-in of ours."""
        files = self._directory.glob(f"*.d/{DROP_IN}")
        return {file.parent.name.removesuffix(".d") for file in files if _text(file).startswith(_HEADER)}

    def reload(self) -> None:
        """Have systemd read changed drop-ins.

        Raises:
            UnitError: it did not.
        """
        self._systemctl.reload()

    def seccomp_is_current(self, unit: str) -> bool:
        """Whether the running unit was started with the drop-in as it stands.

        The drop-in carries the boot and the time since boot at which it was written; a clock that is set does not
        disturb that.
        """
        stamp = _STAMP.search(_text(self._path(unit)))
        pid = self.main_pid(unit)
        if stamp is None or not pid:
            return False
        return stamp.group(1) != boot_id() or self._processes.started_at(pid) >= float(stamp.group(2))

    def _path(self, unit: str) -> Path:
        return self._directory / f"{checked(unit)}.d" / DROP_IN

    def _body(self, unit: str, settings: UnitSettings) -> str:
        section = _SECTIONS.get(unit.rpartition(".")[2])
        if section is None and settings.directives:
            names = ", ".join(name for name, _value in settings.directives)
            raise UnitError(
                f"unit {unit}: systemd takes no {names} for it; use BPF alone, or target the service that starts it"
            )
        for name, value in settings.directives:
            if "\n" in name + value:
                raise UnitError(f"unit {unit}: {name}= has a line break in {value!r}; expected one line")
        lines = ["[Unit]", *self._ordering(unit)]
        if section is not None and settings.directives:
            lines += ["", f"[{section}]"]
            lines += [f"{name}={self._value(name, value)}" for name, value in settings.directives]
        return "\n".join(lines) + "\n"

    def _ordering(self, unit: str) -> list[str]:
        """Start after the daemon: the kernel forgets BPF bindings at a reboot. Units of early boot cannot wait."""
        answer = self._systemctl.show(unit, "DefaultDependencies")
        if answer.get("DefaultDependencies") == "no":
            _LOG.warning("unit %s starts before varmord can; BPF rules bind it when varmord is up", unit)
            return []
        lines = [f"Wants={DAEMON_UNIT}", f"After={DAEMON_UNIT}"]
        return [*lines, f"AssertPathExists={self._ready}"] if self._fail_closed else lines

    def _value(self, name: str, value: str) -> str:
        """A profile that is not loaded keeps a unit from starting, unless its name has a `-` in front."""
        if name == "AppArmorProfile" and not self._fail_closed and not value.startswith("-"):
            return f"-{value}"
        return value


def _default_slice(unit: str) -> str:
    """The slice of a unit that is not loaded: instances of a template get one of their own."""
    name, at, _instance = unit.partition("@")
    return f"system-{name.replace('-', chr(92) + 'x2d')}.slice" if at else "system.slice"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _without_stamp(text: str) -> str:
    return _STAMP.sub("", text, count=1).replace(f"{_HEADER}\n\n", f"{_HEADER}\n", 1)

# SPDX-License-Identifier: Apache-2.0
"""Seccomp profiles: files where container runtimes and the kubelet look for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from varmor import atomic_file
from varmor.errors import VarmorError
from varmor.kernel.profile_name import PREFIX, checked, is_ours
from varmor.kernel.support import YES, Support, no

KUBELET = Path("/var/lib/kubelet/seccomp")
OWN = Path("/var/lib/varmor/seccomp")
SYSCTL = Path("/proc/sys/kernel/seccomp")


class SeccompError(VarmorError):
    """A seccomp profile could not be written or read."""


class SeccompFiles:
    """The seccomp enforcer of this node: ``KUBELET/<name>`` and ``OWN/<name>.json`` always say the same."""

    def __init__(self, kubelet: Path = KUBELET, own: Path = OWN, sysctl: Path = SYSCTL) -> None:
        self._kubelet = kubelet
        self._own = own
        self._sysctl = sysctl

    def supported(self) -> Support:
        """Whether the kernel has seccomp filters that can refuse a call."""
        actions = self._words("actions_avail")
        if not actions:
            return no("this kernel has no seccomp filters (no /proc/sys/kernel/seccomp/actions_avail)")
        if "errno" not in actions:
            return no(f"this kernel's seccomp cannot refuse a call: it has {', '.join(actions)}, expected errno")
        return YES

    def records_denials(self) -> Support:
        """Whether the kernel records refused calls when the filter asks for it (``SECCOMP_FILTER_FLAG_LOG``)."""
        logged = self._words("actions_logged")
        missing = [action for action in ("errno", "log") if action not in logged]
        if missing:
            return no(
                f"kernel.seccomp.actions_logged lacks {' and '.join(missing)}: "
                f"refused calls are not recorded; add with sysctl"
            )
        return YES

    def apply(self, name: str, profile: dict[str, Any]) -> None:
        """Write both files, each replaced whole.

        Raises:
            SeccompError: a file could not be written.
        """
        text = _render(profile)
        for path in self._paths(name):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_file.replace_text(path, text, 0o644)
            except OSError as error:
                raise SeccompError(f"seccomp profile {name}: {path}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Remove both files; nothing happens when they are gone.

        Raises:
            SeccompError: a file could not be removed.
        """
        for path in self._paths(name):
            try:
                atomic_file.remove(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SeccompError(f"seccomp profile {name}: {path}: {error.strerror}") from error

    def holds(self, name: str, profile: dict[str, Any]) -> bool:
        """Whether both files say exactly this."""
        text = _render(profile)
        return all(_content(path) == text for path in self._paths(name))

    def state(self) -> dict[str, dict[str, Any] | None]:
        """Our profiles with their content; None for one whose two files differ or cannot be read."""
        names = {entry.name for entry in _entries(self._kubelet)}
        names |= {entry.name.removesuffix(".json") for entry in _entries(self._own)}
        return {name: self._profile(name) for name in names if is_ours(name)}

    def _profile(self, name: str) -> dict[str, Any] | None:
        texts = {_content(path) for path in self._paths(name)}
        if len(texts) != 1 or (text := texts.pop()) is None:
            return None
        try:
            profile = json.loads(text)
        except ValueError:
            return None
        return profile if isinstance(profile, dict) else None

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._kubelet / checked(name), self._own / f"{checked(name)}.json"

    def _words(self, name: str) -> list[str]:
        try:
            return (self._sysctl / name).read_text(encoding="ascii").split()
        except OSError:
            return []


def _render(profile: dict[str, Any]) -> str:
    return json.dumps(profile, indent=1, sort_keys=True) + "\n"


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _entries(directory: Path) -> list[Path]:
    return list(directory.glob(f"{PREFIX}*")) if directory.is_dir() else []

# SPDX-License-Identifier: Apache-2.0
"""AppArmor profiles: files in /etc/apparmor.d and their counterparts in the kernel.

The files are what apparmor.service loads at boot, so that a node is armed again before the daemon runs.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from varmor.atomic_file import synchronise
from varmor.kernel.apparmor_parser import AppArmorError, Parser
from varmor.kernel.lsm import ACTIVE, active_modules
from varmor.kernel.profile_name import checked, is_ours
from varmor.kernel.support import YES, Support, no

DIRECTORY = Path("/etc/apparmor.d")
KERNEL = Path("/sys/kernel/security/apparmor")
ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_HEADER = "# Written by varmord: do not edit, the daemon replaces it.\n"
_LARGEST_TEXT = 4 << 20


class AppArmor:
    """The AppArmor enforcer of this node."""

    def __init__(
        self,
        directory: Path = DIRECTORY,
        kernel: Path = KERNEL,
        enabled: Path = ENABLED,
        lsm: Path = ACTIVE,
        parser: Parser | None = None,
    ) -> None:
        self._directory = directory
        self._kernel = kernel
        self._enabled = enabled
        self._lsm = lsm
        self._parser = parser or Parser()

    def supported(self) -> Support:
        """Whether profiles can be loaded here and would be enforced."""
        try:
            enabled = self._enabled.read_text(encoding="ascii").strip()
        except OSError:
            return no("this kernel has no AppArmor (no /sys/module/apparmor/parameters/enabled)")
        if enabled != "Y":
            return no("AppArmor is switched off on the kernel's command line (apparmor=0); remove it and reboot")
        modules = active_modules(self._lsm)
        if not modules:
            return no(f"{self._lsm} cannot be read; mount securityfs on /sys/kernel/security")
        if "apparmor" not in modules:
            return no(f"the kernel does not call AppArmor: active are {', '.join(modules)}; add it to lsm= and reboot")
        if not (self._kernel / "profiles").exists():
            return no(f"{self._kernel / 'profiles'} is missing; mount securityfs on /sys/kernel/security")
        if self._parser.path() is None:
            return no("apparmor_parser is not installed; install the package `apparmor`")
        return YES

    @property
    def parser(self) -> Parser:
        """The node's parser, for its version and ABI files."""
        return self._parser

    def check(self, name: str, text: str) -> list[str]:
        """Compile without loading; the parser's warnings.

        Raises:
            AppArmorTextError: the text does not compile; line and the parser's words are in it.
            AppArmorError: the parser is missing, or the text declares a profile of another name.
        """
        if len(text) > _LARGEST_TEXT:
            raise AppArmorError(f"AppArmor profile {name}: {len(text)} bytes; expected at most {_LARGEST_TEXT}")
        return self._parser.check(checked(name), text)

    def apply(self, name: str, text: str) -> None:
        """Load the profile and keep its file for the next boot.

        The new text is loaded from a temporary file which takes the old one's place only after the kernel took it:
        a refusal leaves file and kernel as they were.

        Raises:
            AppArmorError: the parser or the kernel refused, or the file could not be written.
        """
        path = self._directory / checked(name)
        temporary = self._directory / f".{name}.tmp"
        try:
            try:
                _write(temporary, _HEADER + text)
                self._parser.load(name, _HEADER + text, temporary)
                temporary.replace(path)
                synchronise(self._directory)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise AppArmorError(f"AppArmor profile {name}: {path}: {error.strerror}") from error

    def text(self, name: str) -> str | None:
        """The text that was applied last, None when there is no file."""
        try:
            content = (self._directory / checked(name)).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        return content.removeprefix(_HEADER)

    def holds(self, name: str, text: str) -> bool:
        """Whether this text is in the file and a profile of this name is enforced by the kernel."""
        return self.text(name) == text and name in self.state()

    def remove(self, name: str) -> None:
        """Unload the profile and remove its file; nothing happens when they are gone.

        Raises:
            AppArmorError: the kernel refused.
        """
        (self._directory / checked(name)).unlink(missing_ok=True)
        try:
            (self._kernel / ".remove").write_bytes(name.encode())
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise AppArmorError(f"AppArmor profile {name}: the kernel did not unload it: {error}") from error
        synchronise(self._directory)

    def state(self) -> dict[str, str]:
        """Loaded profiles of ours and their modes (``enforce``, ``complain``), child profiles left out."""
        try:
            lines = (self._kernel / "profiles").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise AppArmorError(f"{self._kernel / 'profiles'}: {error.strerror}") from error
        loaded: dict[str, str] = {}
        for line in lines:
            name, _, mode = line.rpartition(" ")
            if is_ours(name):
                loaded[name] = mode.strip("()")
        return loaded

    def files(self) -> set[str]:
        """Names of our profiles that have a file, loaded or not."""
        return {entry.name for entry in self._directory.glob("varmor-*") if is_ours(entry.name)}


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())

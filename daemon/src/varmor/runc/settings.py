# SPDX-License-Identifier: Apache-2.0
"""The wrapper's settings, and where the real runtime is."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "/etc/varmor/runc.json"
SOCKET = "/run/varmor/varmord.sock"
_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_RUNTIMES = ("runc", "crun")


class SettingsError(Exception):
    """The settings cannot be used. The package's own exceptions are not imported here: see the package."""


class Settings:
    """``fail_closed``: a container whose profile cannot be settled is not created. ``runtime``: the real one, empty:
    search. ``timeout``: seconds that the daemon has for an answer; a daemon that is away is noticed at once.
    """

    __slots__ = ("fail_closed", "runtime", "socket", "timeout")

    def __init__(
        self, fail_closed: bool = False, runtime: str = "", timeout: float = 20.0, socket: str = SOCKET
    ) -> None:
        self.fail_closed = fail_closed
        self.runtime = runtime
        self.timeout = timeout
        self.socket = socket


def load(path: str = PATH) -> Settings:
    """Read the settings; a missing file means the defaults.

    Raises:
        SettingsError: it cannot be read, or holds something else than expected.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  pathlib costs start-up time
            document = json.loads(stream.read(65536))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected an object, found {type(document).__name__}")
    return _settings(document, path)


def _settings(document: dict[str, Any], path: str) -> Settings:
    unknown = sorted(document.keys() - {"fail", "runtime", "timeout", "socket"})
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]!r}; known are fail, runtime, timeout, socket")
    fail, runtime = document.get("fail", "open"), document.get("runtime", "")
    timeout, socket = document.get("timeout", 20.0), document.get("socket", SOCKET)
    if fail not in ("open", "closed"):
        raise SettingsError(f"{path}: fail is {fail!r}; expected open or closed")
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 < timeout <= 600:
        raise SettingsError(f"{path}: timeout is {timeout!r}; expected seconds up to 600")
    for name, value in (("runtime", runtime), ("socket", socket)):
        if not isinstance(value, str) or (value and not value.startswith("/")):
            raise SettingsError(f"{path}: {name} is {value!r}; expected an absolute path")
    return Settings(fail == "closed", runtime, float(timeout), socket)


def real_runtime(settings: Settings) -> str:
    """Path of the runtime behind the wrapper.

    Raises:
        SettingsError: there is none, or it is this program again.
    """
    if settings.runtime:
        if not os.access(settings.runtime, os.X_OK):
            raise SettingsError(f"{PATH}: runtime {settings.runtime} is not an executable file; expected runc or crun")
        if _is_wrapper(settings.runtime):
            raise SettingsError(f"{PATH}: runtime {settings.runtime} is varmor-runc itself; expected runc or crun")
        return settings.runtime
    for name in _RUNTIMES:
        for directory in _SEARCH:
            path = f"{directory}/{name}"
            if os.access(path, os.X_OK) and not _is_wrapper(path):
                return path
    raise SettingsError(f"neither runc nor crun in {':'.join(_SEARCH)}; install runc or name it in {PATH}")


def _is_wrapper(path: str) -> bool:
    try:
        return os.path.samefile(path, sys.argv[0])  # noqa: PTH121  pathlib costs start-up time
    except OSError:
        return False

# SPDX-License-Identifier: Apache-2.0
"""The daemon's settings: /etc/varmor/varmord.yaml, checked strictly."""

from __future__ import annotations

import enum
import platform
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from varmor.errors import VarmorError
from varmor.node.settings_services import ServicesError, read_services
from varmor.profile.types import ServiceEndpoints

DEFAULT_PATH = Path("/etc/varmor/varmord.yaml")


class SettingsError(VarmorError):
    """The settings file cannot be used."""

    exit_code = 2


class FailMode(enum.StrEnum):
    """What happens to a workload that starts while the daemon is away."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with their defaults.

    ``resync_seconds`` is the time between two full passes when nothing happens, ``scan_seconds`` how often the
    runtimes' state directories are
    looked at for containers that did not come through varmor-runc. ``metadata`` is copied into each violation.
    ``services`` are those of the cluster that policies may name.
    """

    node_name: str = ""
    fail: FailMode = FailMode.OPEN
    policies: Path = Path("/etc/varmor/policies.d")
    state: Path = Path("/var/lib/varmor")
    socket: Path = Path("/run/varmor/varmord.sock")
    violations_log: Path = Path("/var/log/varmor/violations.log")
    resync_seconds: float = 30.0
    scan_seconds: float = 2.0
    metadata: tuple[tuple[str, str], ...] = ()
    services: tuple[ServiceEndpoints, ...] = ()

    @property
    def ready_marker(self) -> Path:
        """A file that is there once the daemon has been ready since boot; units that fail closed ask for it."""
        return self.socket.with_name("ready")

    @property
    def database(self) -> Path:
        """The SQLite file with revisions and workloads."""
        return self.state / "state.db"


def load(path: Path = DEFAULT_PATH) -> Settings:
    """Read the settings; a missing file means the defaults.

    Raises:
        SettingsError: the file cannot be read, has an unknown key or a value of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _with_node_name(Settings())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected settings as `key: value`, found {type(document).__name__}")
    return _with_node_name(_from_document(document, path))


def _with_node_name(settings: Settings) -> Settings:
    return settings if settings.node_name else replace(settings, node_name=platform.node())


def _from_document(document: dict[str, Any], path: Path) -> Settings:
    known = {field.name for field in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in known:
            raise SettingsError(f"{path}: unknown setting {key!r}; known are {', '.join(sorted(known))}")
        values[key] = _value(key, value, path)
    return Settings(**values)


def _value(key: str, value: object, path: Path) -> object:
    if key == "services":
        try:
            return read_services(value)
        except ServicesError as error:
            raise SettingsError(f"{path}: {error}") from error
    default = getattr(Settings(), key)
    if isinstance(default, FailMode):
        if value not in tuple(FailMode):
            raise SettingsError(f"{path}: {key} is {value!r}; expected `open` or `closed`")
        return FailMode(str(value))
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 86400:
            raise SettingsError(f"{path}: {key} is {value!r}; expected seconds between 0.1 and 86400")
        return float(value)
    if isinstance(default, tuple):
        if not isinstance(value, dict):
            raise SettingsError(f"{path}: {key} is {value!r}; expected a mapping of strings")
        return tuple(sorted((str(name), str(text)) for name, text in value.items()))
    if not isinstance(value, str) or (isinstance(default, Path) and not value.startswith("/")):
        expected = "an absolute path" if isinstance(default, Path) else "a string"
        raise SettingsError(f"{path}: {key} is {value!r}; expected {expected}")
    return Path(value) if isinstance(default, Path) else value

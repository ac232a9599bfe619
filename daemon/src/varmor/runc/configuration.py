# SPDX-License-Identifier: Apache-2.0
"""Files that the real runtime reads, changed for the time that it reads them."""

from __future__ import annotations

import json
import os
from typing import Any

_LARGEST = 16 << 20


class ConfigurationError(Exception):
    """A configuration that cannot be read or changed."""


def confined(config: dict[str, Any], apparmor: str | None, seccomp: dict[str, Any] | None) -> dict[str, Any]:
    """The OCI configuration with the AppArmor profile and the seccomp filter given; None leaves what is there."""
    changed = dict(config)
    if apparmor is not None:
        changed["process"] = {**_object(config.get("process")), "apparmorProfile": apparmor}
    if seccomp is not None:
        changed["linux"] = {**_object(config.get("linux")), "seccomp": seccomp}
    return changed


class Rewritten:
    """A JSON file that says something else inside a ``with`` block, and what it said before afterwards.

    The bundle belongs to the engine; runc and crun keep a copy of their own once the container is created.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._original = _read(path)

    @property
    def original(self) -> dict[str, Any]:
        """What the file says.

        Raises:
            ConfigurationError: it is not a JSON object.
        """
        try:
            document = json.loads(self._original)
        except ValueError as error:
            raise ConfigurationError(f"{self._path}: not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ConfigurationError(f"{self._path}: expected an object, found {type(document).__name__}")
        return document

    def write(self, document: dict[str, Any]) -> None:
        """Make the file say this, replacing it whole.

        Raises:
            ConfigurationError: it cannot be written.
        """
        replace(self._path, json.dumps(document, separators=(",", ":")).encode())

    def restore(self) -> None:
        """Make it say again what it said; nothing happens when the bundle is gone.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if os.path.lexists(self._path):
            replace(self._path, self._original)


def replace(path: str, content: bytes) -> None:
    """Replace a file whole, keeping mode and owner.

    Raises:
        ConfigurationError: it cannot be written.
    """
    temporary = f"{path}.varmor-{os.getpid()}"
    try:
        status = os.stat(path)  # noqa: PTH116  pathlib costs start-up time
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o7777)
            stream.write(content)
        os.replace(temporary, path)  # noqa: PTH105  as above
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  as above
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise ConfigurationError(f"{path}: longer than {_LARGEST} bytes")
    return content


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}

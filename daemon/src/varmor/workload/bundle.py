# SPDX-License-Identifier: Apache-2.0
"""OCI bundles: the directory with config.json that a runtime makes a container of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from varmor.errors import VarmorError

LARGEST_CONFIG = 16 << 20
"""Longest config.json that is read, in bytes."""


class BundleError(VarmorError):
    """A bundle that cannot be read."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle's config.json says about the container's identity."""

    path: Path
    annotations: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    cgroup: str = ""


def read_config(path: Path) -> dict[str, Any]:
    """The object in ``path/config.json``.

    Raises:
        BundleError: it is missing, too large or not a JSON object.
    """
    file = path / "config.json"
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_CONFIG + 1)
    except OSError as error:
        raise BundleError(f"bundle {path}: config.json: {error.strerror}") from error
    if len(content) > LARGEST_CONFIG:
        raise BundleError(f"bundle {path}: config.json is longer than {LARGEST_CONFIG} bytes")
    try:
        config = json.loads(content)
    except ValueError as error:
        raise BundleError(f"bundle {path}: config.json is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise BundleError(f"bundle {path}: config.json holds a {type(config).__name__}; expected an object")
    return config


def read(path: Path) -> Bundle:
    """Read a bundle's identity.

    Raises:
        BundleError: config.json cannot be read.
    """
    config = read_config(path)
    linux = config.get("linux")
    return Bundle(
        path=path,
        annotations=strings(config.get("annotations")),
        hostname=str(config.get("hostname") or ""),
        cgroup=str(linux.get("cgroupsPath") or "") if isinstance(linux, dict) else "",
    )


def strings(value: object) -> dict[str, str]:
    """The entries of a JSON object whose values are text; empty for anything else."""
    if not isinstance(value, dict):
        return {}
    return {str(key): text for key, text in value.items() if isinstance(text, str)}


def read_json(path: Path) -> Any:
    """The JSON value in a file, None when it is missing, too large or broken (a runtime may be writing it)."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_CONFIG + 1)
        return json.loads(content) if len(content) <= LARGEST_CONFIG else None
    except (OSError, ValueError):
        return None


def read_pid(path: Path) -> int:
    """The process id in a file, 0 when there is none yet."""
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() and len(text) <= 10 else 0

# SPDX-License-Identifier: Apache-2.0
"""Containers that varmor-runc had to start without us, as it wrote them down: read once, said loudly, forgotten."""

from __future__ import annotations

import json
import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)
_LARGEST = 64 << 10


class UnconfinedStarts:
    """The directory of those notes. ``count`` is how many were found since the daemon's start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.count = 0

    def collect(self) -> None:
        """Log every note and remove it."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob("*.json")):
            self.count += 1
            _LOG.error("a container was started without its profile (fail: open): %s", _words(path))
            path.unlink(missing_ok=True)


def _words(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            note = json.loads(stream.read(_LARGEST))
        return f"{note['id']} from {note['bundle']}: {note['reason']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path.name} (the note cannot be read: {error})"

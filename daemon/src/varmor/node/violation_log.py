# SPDX-License-Identifier: Apache-2.0
"""/var/log/varmor/violations.log: one JSON object a line, rotated by size."""

from __future__ import annotations

import logging
import os
from pathlib import Path

LARGEST = 10_000_000
"""Size in bytes at which a new file is begun."""

BACKUPS = 3
"""How many older files are kept: violations.log.1 (newest) to .3."""

_MODE = 0o640
_LOG = logging.getLogger(__name__)


class ViolationLog:
    """Appends lines. A file that was moved or removed by others is made again; a line that cannot be written is
    counted in :attr:`lost` and the reason is logged once until writing works again.
    """

    def __init__(self, path: Path, largest: int = LARGEST, backups: int = BACKUPS) -> None:
        self._path = path
        self._largest = largest
        self._backups = backups
        self._descriptor = -1
        self._size = 0
        self._failing = False
        self.lost = 0

    def write(self, line: str) -> bool:
        """Append a line; whether it was written."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._prepare(len(data))
            written = os.write(self._descriptor, data)
            self._size += written
            if written != len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
        except OSError as error:
            self._fail(error)
            return False
        self._failing = False
        return True

    def close(self) -> None:
        """Make everything durable and let the file go."""
        if self._descriptor >= 0:
            try:
                os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _prepare(self, length: int) -> None:
        if self._descriptor >= 0 and self._moved():
            self.close()
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + length > self._largest:
            self.close()
            self._rotate()
            self._open()

    def _moved(self) -> bool:
        try:
            there = os.stat(self._path)  # noqa: PTH116  beside fstat
        except FileNotFoundError:
            return True
        mine = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, _MODE)
        os.fchmod(self._descriptor, _MODE)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            self._size += os.write(self._descriptor, b"\n")  # the power went while a line was written

    def _rotate(self) -> None:
        """Each step is one rename: a kill between two leaves a gap in the numbers and no line lost."""
        for number in range(self._backups - 1, 0, -1):
            self._rename(self._numbered(number), self._numbered(number + 1))
        if self._backups:
            self._rename(self._path, self._numbered(1))
        else:
            self._path.unlink(missing_ok=True)

    def _rename(self, old: Path, new: Path) -> None:
        if old.exists():
            old.replace(new)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _fail(self, error: OSError) -> None:
        self.lost += 1
        if not self._failing:
            self._failing = True
            _LOG.error("violations are not written to %s: %s", self._path, error)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

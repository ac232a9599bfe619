# SPDX-License-Identifier: Apache-2.0
"""The directories on bpffs that keep programs and maps alive while no daemon runs.

``/sys/fs/bpf/varmor/<digest>`` is a complete set, ``<digest>-new`` one that was being made when its maker died: it is
removed by the next start. A complete set appears under its name by one rename.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from varmor.kernel.bpf.libbpf import BpfError

BPFFS = Path("/sys/fs/bpf")
ROOT = BPFFS / "varmor"
_NEW = "-new"  # bpffs reserves names with dots


class PinDirectory:
    """All sets of one daemon."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    def of(self, digest: str) -> Path:
        """The directory of a set."""
        return self.root / digest

    def complete(self, digest: str) -> bool:
        """Whether the set is there."""
        return self.of(digest).is_dir()

    def make(self, digest: str, fill: Callable[[Path], None]) -> None:
        """Make a set: ``fill`` pins everything into the directory that it is given.

        Raises:
            BpfError: bpffs refuses a directory.
        """
        target = self.of(digest)
        new = target.with_name(target.name + _NEW)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.discard(new)
            new.mkdir(mode=0o700)
        except OSError as error:
            raise BpfError(
                f"the directory {new} cannot be made: is bpffs mounted on {BPFFS}?", error.errno or 0
            ) from error
        try:
            fill(new)
            new.rename(target)
        except BaseException:
            self.discard(new)
            raise

    def discard_unfinished(self) -> None:
        """Remove what a maker that died left behind."""
        for path in self._sets():
            if path.name.endswith(_NEW):
                self.discard(path)

    def others(self, digest: str) -> list[Path]:
        """Complete sets of other objects or settings."""
        return [path for path in self._sets() if path.name != digest and not path.name.endswith(_NEW)]

    def discard(self, path: Path) -> None:
        """Unpin a set: its programs are detached when the last of their pins goes, its maps with them.

        The directory is renamed first, so that a set which is half removed never looks complete.
        """
        if not path.is_dir():
            return
        if not path.name.endswith(_NEW):
            condemned = path.with_name(path.name + _NEW)
            self.discard(condemned)
            path = path.rename(condemned)
        shutil.rmtree(path)

    def discard_all(self) -> None:
        """Unpin everything."""
        for path in self._sets():
            self.discard(path)
        if self.root.is_dir():
            self.root.rmdir()

    def _sets(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

# SPDX-License-Identifier: Apache-2.0
"""The exceptions of the test nodes. They stand alone: this package runs without the product it tests."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class NodeError(Exception):
    """A test node, its image or the light guest could not be built, started or used."""


class CommandError(NodeError):
    """A program failed. ``stdout`` and ``stderr`` are its own words, ``returncode`` its exit status."""

    def __init__(
        self, argv: Sequence[str], returncode: int, stdout: str = "", stderr: str = "", where: str = ""
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        words = (stderr.strip() or stdout.strip() or "it printed nothing")[-4000:]
        place = f"{where}: " if where else ""
        super().__init__(f"{place}`{shlex.join(self.argv)[:500]}` ended with status {returncode}: {words}")


class NodeTimeoutError(NodeError):
    """Something did not happen before its deadline."""

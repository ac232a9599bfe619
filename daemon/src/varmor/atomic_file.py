# SPDX-License-Identifier: Apache-2.0
"""Files that are replaced whole or not at all, also when the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Write ``text`` to ``path`` by way of a temporary file in the same directory, synchronised before and
    after the rename.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    synchronise(path.parent)


def remove(path: Path) -> bool:
    """Remove a file for good; False when there was none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    synchronise(path.parent)
    return True


def synchronise(directory: Path) -> None:
    """Make renames and removals in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

# SPDX-License-Identifier: Apache-2.0
"""System calls by their numbers on x86-64, as attackers make them: without the checks of a library."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_REMOUNT, MS_BIND, MS_MOVE, MS_PRIVATE = 32, 4096, 8192, 1 << 18
CLONE_NEWNS = 0x00020000
_UNSHARE, _MOUNT = 272, 165
_LIBC = ctypes.CDLL(None, use_errno=True)


def system_call(number: int, *arguments: object) -> int:
    """A system call: numbers as words, bytes as strings, None as NULL.

    Raises:
        OSError: it failed.
    """
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def unshare_mounts() -> None:
    """A mount namespace of its own for the caller."""
    system_call(_UNSHARE, CLONE_NEWNS)


def mount_call(source: str, target: Path | str, fstype: str, flags: int) -> None:
    """mount(2)."""
    system_call(_MOUNT, os.fsencode(source), os.fsencode(target), os.fsencode(fstype), flags, None)

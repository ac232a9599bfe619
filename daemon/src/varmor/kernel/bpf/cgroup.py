# SPDX-License-Identifier: Apache-2.0
"""Cgroups of the unified hierarchy by path and by id (the inode number of their directory, never used again)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_FILEID_KERNFS = 0xFE


class _FileHandle(ctypes.Structure):
    """``struct file_handle`` of a kernfs file."""

    _fields_ = (("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("id", ctypes.c_ubyte * 8))


def unified() -> bool:
    """Whether the unified hierarchy is the one at ``/sys/fs/cgroup``."""
    return (ROOT / "cgroup.controllers").exists()


def id_of(path: str) -> int:
    """The id of the cgroup at ``path``, absolute in the hierarchy (``/system.slice/nginx.service``); 0: none."""
    try:
        return (ROOT / path.lstrip("/")).stat().st_ino
    except OSError:
        return 0


def is_populated(cgroup_id: int) -> bool:
    """Whether a cgroup still exists and holds a process, itself or below."""
    try:
        root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return _populated(root, cgroup_id)
    except OSError:
        return False
    finally:
        os.close(root)


def _populated(root: int, cgroup_id: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = _FileHandle(8, _FILEID_KERNFS, (ctypes.c_ubyte * 8)(*cgroup_id.to_bytes(8, "little")))
    directory = libc.open_by_handle_at(root, ctypes.byref(handle), os.O_RDONLY | os.O_DIRECTORY)
    if directory < 0:
        return False
    try:
        events = os.open("cgroup.events", os.O_RDONLY, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        return b"populated 1" in os.read(events, 4096)
    finally:
        os.close(events)

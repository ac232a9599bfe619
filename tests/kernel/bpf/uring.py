# SPDX-License-Identifier: Apache-2.0
"""io_uring(7) by its system calls: one operation at a time, as an attacker uses it to go round system calls."""

from __future__ import annotations

import ctypes
import enum
import mmap
import os
import struct

from tests.kernel.bpf.system import system_call

SETUP_SQPOLL = 2
SQE_ASYNC = 1 << 4
_SETUP, _ENTER = 425, 426
_ENTER_GETEVENTS, _ENTER_SQ_WAKEUP = 1, 2
_SQ_RING, _SQES = 0, 0x10000000
_ENTRY, _COMPLETION = 64, 16


class Operation(enum.IntEnum):
    """``IORING_OP_*``."""

    CONNECT = 16
    OPENAT = 18
    RENAMEAT = 35
    UNLINKAT = 36
    MKDIRAT = 37
    SYMLINKAT = 38
    LINKAT = 39


class Ring:
    """A ring with room for four operations (``struct io_uring_params``: sizes at 0, offsets of the submission queue at
    40, of the completion queue at 80).
    """

    def __init__(self, flags: int = 0) -> None:
        parameters = ctypes.create_string_buffer(120)
        struct.pack_into("<II", parameters, 8, flags, 0)
        struct.pack_into("<I", parameters, 16, 1000)  # milliseconds until the kernel's thread sleeps
        self._flags = flags
        self.fd = system_call(_SETUP, 4, parameters)
        words = struct.unpack("<30I", parameters.raw)
        self._submit, self._complete = words[10:20], words[20:30]
        entries, completions = words[0], words[1]
        size = max(self._submit[6] + entries * 4, self._complete[5] + completions * _COMPLETION)
        self._ring = mmap.mmap(self.fd, size, offset=_SQ_RING)
        self._entries = mmap.mmap(self.fd, entries * _ENTRY, offset=_SQES)

    def run(
        self, operation: Operation, fd: int, address: int, length: int, offset: int, flags: int, how: int = 0
    ) -> int:
        """Submit one operation and wait for it; its result, a negative errno when it failed."""
        entry = struct.pack("<BBHiQQIIQ", operation, how, 0, fd, offset, address, length, flags, 7).ljust(_ENTRY, b"\0")
        self._entries[:_ENTRY] = entry
        head, tail, mask, array = self._complete[0], self._submit[1], self._submit[2], self._submit[6]
        before = self._word(tail)
        struct.pack_into("<I", self._ring, array + 4 * (before & self._word(mask)), 0)
        struct.pack_into("<I", self._ring, tail, before + 1)
        wake = _ENTER_SQ_WAKEUP if self._flags & SETUP_SQPOLL else 0
        system_call(_ENTER, self.fd, 1, 1, _ENTER_GETEVENTS | wake, None, 0)
        place = self._complete[5] + _COMPLETION * (self._word(head) & self._word(self._complete[2]))
        _data, result, _flags = struct.unpack_from("<QiI", self._ring, place)
        struct.pack_into("<I", self._ring, head, self._word(head) + 1)
        return int(result)

    def _word(self, offset: int) -> int:
        return int(struct.unpack_from("<I", self._ring, offset)[0])


def perform(operation: Operation, first: bytes, second: bytes = b"", *, setup: int = 0, how: int = 0) -> int:
    """One operation on one or two paths (for CONNECT: a socket's descriptor as text, and an address).

    Raises:
        OSError: it failed.
    """
    one, two = ctypes.create_string_buffer(first), ctypes.create_string_buffer(second)
    address, other = ctypes.addressof(one), ctypes.addressof(two)
    at = -100
    arguments = {
        Operation.OPENAT: (at, address, 0, 0, os.O_RDONLY),
        Operation.UNLINKAT: (at, address, 0, 0, 0),
        Operation.MKDIRAT: (at, address, 0o755, 0, 0),
        Operation.RENAMEAT: (at, address, at & 0xFFFFFFFF, other, 0),
        Operation.LINKAT: (at, address, at & 0xFFFFFFFF, other, 0),
        Operation.SYMLINKAT: (at, address, 0, other, 0),
        Operation.CONNECT: (int(first) if operation is Operation.CONNECT else 0, other, 0, len(second), 0),
    }[operation]
    result = Ring(setup).run(operation, *arguments, how=how)
    if result < 0:
        raise OSError(-result, f"io_uring {operation.name}")
    return result

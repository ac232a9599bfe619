# SPDX-License-Identifier: Apache-2.0
"""Pinned maps as values of Python: arrays in shared memory and hashes by system call."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from varmor.kernel.bpf.libbpf import MISSING, BpfError, library

Key = TypeVar("Key", bound=Any)
Value = TypeVar("Value", bound=Any)


class _MapInfo(ctypes.Structure):
    """The beginning of ``struct bpf_map_info``."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
    )


class PinnedMap:
    """An open descriptor of a pinned map.

    Raises:
        BpfError: nothing (or something else) is pinned there.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.fd = library().number(f"the map {path} cannot be opened", "bpf_obj_get", str(path).encode())
        info = _MapInfo()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        try:
            library().number(
                f"the map {path} cannot be examined",
                "bpf_obj_get_info_by_fd",
                self.fd,
                ctypes.byref(info),
                ctypes.byref(size),
            )
        except BpfError:
            os.close(self.fd)
            raise
        self.max_entries = int(info.max_entries)
        self.value_size = int(info.value_size)

    def close(self) -> None:
        """Close the descriptor; the map stays pinned."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class HashMap(PinnedMap, Generic[Key, Value]):
    """A hash, an array or a prefix table with keys and values of ctypes types."""

    def __init__(self, path: Path, key: type[Key], value: type[Value]) -> None:
        super().__init__(path)
        self._key = key
        self._value = value

    def get(self, key: Key) -> Value | None:
        """The value of a key, None when there is none.

        Raises:
            BpfError: any other failure.
        """
        # a map of another version may have longer values: the kernel writes all of them
        content = ctypes.create_string_buffer(max(self.value_size, ctypes.sizeof(self._value)))
        result = library().call("bpf_map_lookup_elem", self.fd, ctypes.byref(key), content)
        if result == MISSING:
            return None
        self._check(result, "read")
        found: Value = self._value.from_buffer_copy(content)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Set the value of a key; atomic for a hash.

        Raises:
            BpfError: the map is full, or any other failure.
        """
        result = library().call("bpf_map_update_elem", self.fd, ctypes.byref(key), ctypes.byref(value), 0)
        if result in (-errno.E2BIG, -errno.ENOSPC):
            raise BpfError(f"the map {self.name} is full: it holds {self.max_entries} entries")
        self._check(result, "write")

    def remove(self, key: Key) -> bool:
        """Remove a key; whether it was there.

        Raises:
            BpfError: any other failure.
        """
        result = library().call("bpf_map_delete_elem", self.fd, ctypes.byref(key))
        if result == MISSING:
            return False
        self._check(result, "change")
        return True

    def all_keys(self) -> list[Key]:
        """All keys. A key that is removed by the kernel meanwhile may make others come twice; they come once here."""
        found: dict[bytes, Key] = {}
        previous: Key | None = None
        while len(found) <= self.max_entries:
            key = self._key()
            pointer = None if previous is None else ctypes.byref(previous)
            if library().call("bpf_map_get_next_key", self.fd, pointer, ctypes.byref(key)) < 0:
                break
            found[bytes(key)] = key
            previous = key
        return list(found.values())

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Keys with their values, without those that vanish meanwhile."""
        for key in self.all_keys():
            value = self.get(key)
            if value is not None:
                yield key, value

    def _check(self, result: int, verb: str) -> None:
        if result < 0:
            raise BpfError(f"the map {self.name}: cannot {verb} an entry", -result)


class SharedArray(PinnedMap, Generic[Value]):
    """An array map in shared memory: reading and writing an element is an ordinary load or store."""

    def __init__(self, path: Path, value: type[Value]) -> None:
        super().__init__(path)
        self._size = self.value_size * self.max_entries
        try:
            self._memory = mmap.mmap(self.fd, self._size)
        except OSError as error:
            self.close()
            raise BpfError(f"the map {path} cannot be mapped", error.errno or 0) from error
        if self.max_entries > 1 and self.value_size % 8:
            # the kernel pads elements to 8 bytes; a map with one value is an array of its own
            raise BpfError(f"the map {path} has elements of {self.value_size} bytes, not a multiple of 8")
        count = self._size // ctypes.sizeof(value)
        self._elements: Any = (value * count).from_buffer(self._memory)
        self.count = count

    def __getitem__(self, index: int) -> Value:
        return self._elements[index]  # type: ignore[no-any-return]

    def __setitem__(self, index: int, value: Value | int) -> None:
        self._elements[index] = value

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes at an offset in bytes."""
        if offset < 0 or offset + len(data) > self._size:
            raise ValueError(f"{len(data)} bytes at {offset} are outside of the map {self.name} ({self._size} bytes)")
        ctypes.memmove(ctypes.addressof(self._elements) + offset, data, len(data))

    def snapshot(self) -> bytes:
        """A copy of the whole array."""
        return self._memory[: self._size]

    def close(self) -> None:
        """Give the mapping back and close the descriptor."""
        if self.fd >= 0:
            self._elements = None
            self._memory.close()
        super().close()

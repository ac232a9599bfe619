# SPDX-License-Identifier: Apache-2.0
"""Just enough of ELF and BTF to ask an object how its compiler laid out a structure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_STRUCT, _UNION, _ENUM, _FUNC_PROTO, _VAR, _DATASEC = 4, 5, 6, 13, 14, 15
_DECL_TAG, _ENUM64 = 17, 19


@dataclass(frozen=True)
class Layout:
    """Size of a structure, and the offsets in bytes of its members."""

    size: int
    offsets: dict[str, int]


class Elf:
    """Sections and symbols of a 64-bit little-endian object."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        start, entry, count, names = (
            *struct.unpack_from("<Q", self._data, 40),
            *struct.unpack_from("<HHH", self._data, 58),
        )
        headers = [struct.unpack_from("<IIQQQQIIQQ", self._data, start + index * entry) for index in range(count)]
        strings = headers[names]
        self._sections: dict[str, tuple[int, int, int]] = {}
        for header in headers:
            name = self._text(strings[4] + header[0])
            self._sections[name] = (header[4], header[5], header[6])
        self._headers = headers

    def _text(self, at: int) -> str:
        return self._data[at : self._data.index(b"\0", at)].decode()

    def section(self, name: str) -> bytes:
        """The content of a section."""
        offset, size, _link = self._sections[name]
        return self._data[offset : offset + size]

    def symbols(self) -> dict[str, int]:
        """Symbols with their offsets in their sections."""
        link = self._sections[".symtab"][2]
        table = self.section(".symtab")
        found = {}
        for at in range(0, len(table), 24):
            name, _info, _other, _section, value, _size = struct.unpack_from("<IBBHQQ", table, at)
            found[self._text(self._headers[link][4] + name)] = value
        return found


class Btf:
    """The structures and enumerations of a .BTF section."""

    def __init__(self, data: bytes) -> None:
        _magic, _version, _flags, header, types, types_size, strings, _size = struct.unpack_from("<HBBIIIII", data)
        self._data = data
        self._strings = header + strings
        self.structures: dict[str, Layout] = {}
        self.enumerators: dict[str, int] = {}
        at, end = header + types, header + types + types_size
        while at < end:
            at = self._type(at)

    def _text(self, offset: int) -> str:
        at = self._strings + offset
        return self._data[at : self._data.index(b"\0", at)].decode()

    def _type(self, at: int) -> int:
        name, info, size = struct.unpack_from("<III", self._data, at)
        kind, count, at = info >> 24 & 0x1F, info & 0xFFFF, at + 12
        bitfields = info >> 31
        if kind in (_STRUCT, _UNION):
            members = [struct.unpack_from("<III", self._data, at + 12 * index) for index in range(count)]
            offsets = {
                self._text(member[0]): (member[2] & 0xFFFFFF if bitfields else member[2]) // 8 for member in members
            }
            self.structures[self._text(name)] = Layout(size, offsets)
            return int(at + 12 * count)
        if kind == _ENUM:
            for index in range(count):
                label, value = struct.unpack_from("<Ii", self._data, at + 8 * index)
                self.enumerators[self._text(label)] = value
        extra = {1: 4, 3: 12, _VAR: 4, _DECL_TAG: 4}
        each = {_ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
        return int(at + extra.get(kind, 0) + each.get(kind, 0) * count)

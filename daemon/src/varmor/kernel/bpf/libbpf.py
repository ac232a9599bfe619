# SPDX-License-Identifier: Apache-2.0
"""The part of libbpf that the enforcer uses, typed. Failures keep the words of libbpf and of the kernel's verifier."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from varmor.errors import VarmorError

PROG_TYPE_LSM = 29
ATTACH_LSM_MAC = 27
BTF_KIND_FUNC = 12
LIBRARY = "libbpf.so.1"

_LARGEST_MESSAGE = 1 << 24  # the verifier's log, whose last lines say what is wrong; libbpf's own limit
_KEPT_LINES = 12
_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
SAMPLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
DUMP = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
"""A ring buffer's callback: context, record, size."""

_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_U32, _U64 = ctypes.c_uint32, ctypes.c_uint64

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "bpf_object__open_file": (_POINTER, (_TEXT, _POINTER)),
    "bpf_object__load": (_INT, (_POINTER,)),
    "bpf_object__close": (None, (_POINTER,)),
    "bpf_object__next_program": (_POINTER, (_POINTER, _POINTER)),
    "bpf_object__next_map": (_POINTER, (_POINTER, _POINTER)),
    "bpf_program__name": (_TEXT, (_POINTER,)),
    "bpf_program__section_name": (_TEXT, (_POINTER,)),
    "bpf_program__autoload": (ctypes.c_bool, (_POINTER,)),
    "bpf_program__set_autoload": (_INT, (_POINTER, ctypes.c_bool)),
    "bpf_program__attach": (_POINTER, (_POINTER,)),
    "bpf_link__pin": (_INT, (_POINTER, _TEXT)),
    "bpf_link__destroy": (_INT, (_POINTER,)),
    "bpf_map__name": (_TEXT, (_POINTER,)),
    "bpf_map__fd": (_INT, (_POINTER,)),
    "bpf_map__pin": (_INT, (_POINTER, _TEXT)),
    "bpf_map__set_value_size": (_INT, (_POINTER, _U32)),
    "bpf_map__initial_value": (_POINTER, (_POINTER, ctypes.POINTER(_SIZE))),
    "bpf_map_update_elem": (_INT, (_INT, _POINTER, _POINTER, _U64)),
    "bpf_map_lookup_elem": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_map_delete_elem": (_INT, (_INT, _POINTER)),
    "bpf_map_get_next_key": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_obj_get": (_INT, (_TEXT,)),
    "bpf_obj_get_info_by_fd": (_INT, (_INT, _POINTER, ctypes.POINTER(_U32))),
    "bpf_prog_load": (_INT, (_INT, _TEXT, _TEXT, _POINTER, _SIZE, _POINTER)),
    "btf__load_vmlinux_btf": (_POINTER, ()),
    "btf__find_by_name_kind": (ctypes.c_int32, (_POINTER, _TEXT, _U32)),
    "btf__free": (None, (_POINTER,)),
    "btf__type_cnt": (_U32, (_POINTER,)),
    "btf__type_by_id": (_POINTER, (_POINTER, _U32)),
    "btf__name_by_offset": (_TEXT, (_POINTER, _U32)),
    "btf_dump__new": (_POINTER, (_POINTER, DUMP, _POINTER, _POINTER)),
    "btf_dump__dump_type": (_INT, (_POINTER, _U32)),
    "btf_dump__free": (None, (_POINTER,)),
    "ring_buffer__new": (_POINTER, (_INT, SAMPLE, _POINTER, _POINTER)),
    "ring_buffer__consume": (_INT, (_POINTER,)),
    "ring_buffer__epoll_fd": (_INT, (_POINTER,)),
    "ring_buffer__free": (None, (_POINTER,)),
    "libbpf_set_print": (_POINTER, (_PRINT,)),
}


class BpfError(VarmorError):
    """A call of libbpf or bpf(2) that failed. ``errno`` is the kernel's number, ``log`` what was said last."""

    def __init__(self, what: str, number: int = 0, log: str = "") -> None:
        self.errno = number
        self.log = log
        reason = f": {os.strerror(number)}" if number else ""
        said = f"; libbpf says: {log}" if log else ""
        super().__init__(f"{what}{reason}{said}")


class Libbpf:
    """The loaded library. Make it with :func:`library`."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY, use_errno=True)
        except OSError as error:
            raise BpfError(f"{LIBRARY} cannot be loaded ({error}): install the package libbpf1") from error
        self._libc = ctypes.CDLL(None)
        self._log: deque[str] = deque(maxlen=_KEPT_LINES)
        self._print = _PRINT(self._keep)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._library.libbpf_set_print(self._print)

    def _keep(self, level: int, text: int, arguments: int) -> int:
        if level == 0:  # warnings; the rest is chatter
            buffer = ctypes.create_string_buffer(_LARGEST_MESSAGE)
            self._libc.vsnprintf(
                buffer, ctypes.c_size_t(len(buffer)), ctypes.c_void_p(text), ctypes.c_void_p(arguments)
            )
            lines = buffer.value.decode(errors="replace").strip().splitlines()
            self._log.extend(line.strip() for line in lines[-_KEPT_LINES:])
        return 0

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function; its result as it is."""
        return getattr(self._library, name)(*arguments)

    def number(self, what: str, name: str, *arguments: Any) -> int:
        """Call a function that gives a negative errno on failure.

        Raises:
            BpfError: with ``what`` as the description of what was tried.
        """
        self._log.clear()
        result = int(self.call(name, *arguments))
        if result < 0:
            raise self.error(what, -result)
        return result

    def pointer(self, what: str, name: str, *arguments: Any) -> int:
        """Call a function that gives NULL and errno on failure.

        Raises:
            BpfError: with ``what`` as the description of what was tried.
        """
        self._log.clear()
        ctypes.set_errno(0)
        result = self.call(name, *arguments)
        if not result:
            raise self.error(what, ctypes.get_errno())
        return int(result)

    def error(self, what: str, number: int) -> BpfError:
        """An error with what the library said last."""
        return BpfError(what, number, " | ".join(self._log))

    def each(self, function: str, parent: int) -> list[int]:
        """All that a ``bpf_object__next_*`` function gives."""
        found: list[int] = []
        item = self.call(function, parent, None)
        while item:
            found.append(int(item))
            item = self.call(function, parent, item)
        return found


@functools.cache
def library() -> Libbpf:
    """The library, loaded once.

    Raises:
        BpfError: it is not installed.
    """
    return Libbpf()


class KernelBtf:
    """The running kernel's own type information. Use as a context manager."""

    def __init__(self) -> None:
        self._library = library()
        self._btf = self._library.pointer(
            "the kernel's BTF (/sys/kernel/btf/vmlinux) cannot be read", "btf__load_vmlinux_btf"
        )

    def __enter__(self) -> KernelBtf:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._library.call("btf__free", self._btf)

    def function(self, name: str) -> int:
        """The number of a kernel function, 0 when there is none."""
        found = int(self._library.call("btf__find_by_name_kind", self._btf, name.encode(), BTF_KIND_FUNC))
        return max(found, 0)

    def dump(self, take: Callable[[int, int, int], None], wanted: Callable[[int, str], bool]) -> None:
        """Write types as C, with all that they need: those for whose kind (``BTF_KIND_*``) and name ``wanted`` is true.

        ``take`` is called as vprintf(3) would be, with a context before.

        Raises:
            BpfError: libbpf cannot write them.
        """
        callback = DUMP(take)
        what = "the kernel's types cannot be written"
        dump = self._library.pointer(what, "btf_dump__new", self._btf, callback, None, None)
        try:
            for number in range(1, self._library.call("btf__type_cnt", self._btf)):
                if wanted(*self._kind_and_name(number)):
                    self._library.number(what, "btf_dump__dump_type", dump, number)
        finally:
            self._library.call("btf_dump__free", dump)

    def _kind_and_name(self, number: int) -> tuple[int, str]:
        """From ``struct btf_type``: the offset of the name, then a word with the kind in bits 24 to 28."""
        words = (ctypes.c_uint32 * 2).from_address(self._library.call("btf__type_by_id", self._btf, number))
        name = self._library.call("btf__name_by_offset", self._btf, words[0])
        return words[1] >> 24 & 0x1F, (name or b"").decode()


class _LoadOptions(ctypes.Structure):
    """The beginning of ``struct bpf_prog_load_opts`` (libbpf takes a shorter one by its ``sz``)."""

    _fields_ = (
        ("sz", _SIZE),
        ("attempts", _INT),
        ("expected_attach_type", _INT),
        ("prog_btf_fd", _U32),
        ("prog_flags", _U32),
        ("prog_ifindex", _U32),
        ("kern_version", _U32),
        ("attach_btf_id", _U32),
        ("attach_prog_fd", _U32),
        ("attach_btf_obj_fd", _U32),
        ("padding", _U32),
    )


def load_empty_lsm_program(btf_id: int) -> None:
    """Load (not attach) the smallest LSM program, ``return 0``: some kernels refuse them whatever their configuration.

    Raises:
        BpfError: the kernel refuses it.
    """
    instructions = bytes((0xB7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0))
    options = _LoadOptions(sz=ctypes.sizeof(_LoadOptions), expected_attach_type=ATTACH_LSM_MAC, attach_btf_id=btf_id)
    descriptor = library().number(
        "the kernel refuses LSM programs",
        "bpf_prog_load",
        PROG_TYPE_LSM,
        b"varmor_probe",
        b"GPL",
        instructions,
        len(instructions) // 8,
        ctypes.byref(options),
    )
    os.close(descriptor)


class RingBuffer:
    """A reader of a ring buffer map. ``receive`` gets each record's bytes."""

    def __init__(self, map_fd: int, receive: Callable[[bytes], None]) -> None:
        self._library = library()

        def sample(_context: int, data: int, size: int) -> int:
            receive(ctypes.string_at(data, size))
            return 0

        self._sample = SAMPLE(sample)
        self._ring = self._library.pointer(
            "the ring buffer cannot be read", "ring_buffer__new", map_fd, self._sample, None, None
        )

    @property
    def fd(self) -> int:
        """Readable when there are records."""
        return int(self._library.call("ring_buffer__epoll_fd", self._ring))

    def consume(self) -> None:
        """Hand all waiting records to ``receive``.

        Raises:
            BpfError: the buffer is broken.
        """
        self._library.number("the ring buffer cannot be read", "ring_buffer__consume", self._ring)

    def close(self) -> None:
        """Give the buffer's mapping back."""
        if self._ring:
            self._library.call("ring_buffer__free", self._ring)
            self._ring = 0


MISSING = -errno.ENOENT
"""What map functions give for a key that is not there."""

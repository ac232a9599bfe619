# SPDX-License-Identifier: Apache-2.0
"""From the compiled object to pinned programs that judge."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from varmor.kernel.bpf.libbpf import BpfError, KernelBtf, library
from varmor.kernel.bpf.symbols import KALLSYMS, addresses

OBJECT = Path(__file__).with_name("enforcer.bpf.o")
TABLE_BYTES = 4 << 20
"""Default size of the table of automata; a power of two."""

EVENTS_PER_SECOND = 1000
"""Default of how many events a workload may record in a second. The ring buffer holds about 5000."""

LOCKS = ("rename_lock", "mount_lock")
"""Sequence locks of the kernel (fs/dcache.c, fs/namespace.c) that count what changes paths of directories."""

SECCOMP_PROGRAM = "varmor_seccomp"
"""The program that tells what seccomp filters refuse. It judges nothing, so the enforcer does without it if need be."""

INSTANTIATE_PROGRAM = "varmor_instantiate"
"""The program without which no states may be kept with directories."""

_ITERATOR = "iter/"
_TRACED = ("fentry/", "fexit/")
_REGISTERS = "fexit/"
_REGISTERS_MACHINE = "x86_64"
_LOG = logging.getLogger(__name__)


class RoData(ctypes.Structure):
    """The object's constants, in the order of its section ``.rodata`` (a test compares it with the BTF)."""

    host_mount_namespace: int
    table_words: int
    events_per_second: int
    loads_in_order: int
    rename_lock: int
    mount_lock: int
    _fields_ = (
        ("host_mount_namespace", ctypes.c_uint32),
        ("table_words", ctypes.c_uint32),
        ("events_per_second", ctypes.c_uint32),
        ("loads_in_order", ctypes.c_uint32),
        ("rename_lock", ctypes.c_uint64),
        ("mount_lock", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What is fixed when the object is loaded. Another value needs another set of programs.

    Raises:
        ValueError: ``table_bytes`` is not a power of two, or too small.
    """

    table_bytes: int = TABLE_BYTES
    events_per_second: int = EVENTS_PER_SECOND
    object_path: Path = field(default=OBJECT)

    def __post_init__(self) -> None:
        if self.table_bytes < 1 << 14 or self.table_bytes & (self.table_bytes - 1):
            raise ValueError(f"table_bytes is {self.table_bytes}; expected a power of two of at least 16384")

    def digest(self) -> str:
        """Names the pinned set of programs and maps that these settings give."""
        try:
            content = self.object_path.read_bytes()
        except OSError as error:
            raise BpfError(
                f"the BPF object {self.object_path} cannot be read ({error.strerror}); make it with `make bpf`"
            ) from error
        return hashlib.sha256(content + f"|{self.table_bytes}|{self.events_per_second}".encode()).hexdigest()[:16]


def host_mount_namespace() -> int:
    """Inode number of the first process's mount namespace."""
    return os.stat("/proc/1/ns/mnt").st_ino  # noqa: PTH116 - a path object would follow nothing differently


def load(settings: Settings, pins: Path) -> list[str]:
    """Load the object, attach its programs and pin maps and links below ``pins`` (a directory that exists, on bpffs).

    Programs start to judge one by one while they are attached; nothing is bound yet, so the order does not matter.
    Returns the hooks that this kernel lacks. A program that only records is left out where the kernel refuses it.

    Raises:
        BpfError: the kernel refuses something; with the last words of its verifier.
    """
    try:
        return _load(settings, pins, traced=True)
    except _TracedRefusedError as error:
        _LOG.warning(
            "without the record of what seccomp refuses; directories are walked again after each rename: %s", error
        )
        return _load(settings, pins, traced=False)


class _TracedRefusedError(BpfError):
    """The object was refused while it held programs that it can do without; nothing was pinned."""


def _load(settings: Settings, pins: Path, *, traced: bool) -> list[str]:
    lib = library()
    path = str(settings.object_path)
    handle = lib.pointer(f"the BPF object {path} cannot be opened", "bpf_object__open_file", path.encode(), None)
    try:
        programs = lib.each("bpf_object__next_program", handle)
        maps = {_text("bpf_map__name", item): item for item in lib.each("bpf_object__next_map", handle)}
        absent = _choose(programs, traced=traced)
        names = {_text("bpf_program__name", program) for program in programs if program not in absent}
        _configure(settings, maps, _locks() if INSTANTIATE_PROGRAM in names else {})
        optional = [program for program in programs if program not in absent and _section(program).startswith(_TRACED)]
        try:
            lib.number("the kernel refuses the BPF enforcer", "bpf_object__load", handle)
        except BpfError as error:
            if optional:
                raise _TracedRefusedError("the kernel refuses a BPF program", error.errno, error.log) from error
            raise
        for name, item in maps.items():
            if "." not in name:  # .rodata and its like are the object's own
                _pin("map", name, "bpf_map__pin", item, pins / f"map_{name}")
        for program in programs:
            if program not in absent and not _attach(program, pins, optional=program in optional):
                absent[program] = _section(program)
    finally:
        lib.call("bpf_object__close", handle)
    return sorted(absent.values())


def _text(function: str, item: int) -> str:
    return bytes(library().call(function, item)).decode()


def _section(program: int) -> str:
    return _text("bpf_program__section_name", program)


def _choose(programs: list[int], *, traced: bool) -> dict[int, str]:
    """Switch on the optional programs whose hook the kernel has; give back the others with the names of their hooks.

    Optional are those whose section begins with "?" in the source: libbpf drops the sign and would not load them.
    """
    absent: dict[int, str] = {}
    with KernelBtf() as btf:
        for program in programs:
            if library().call("bpf_program__autoload", program):
                continue
            if _has_hook(btf, _section(program), traced=traced):
                library().call("bpf_program__set_autoload", program, True)
            else:
                absent[program] = _section(program).removeprefix("lsm/")
    return absent


def _has_hook(btf: KernelBtf, section: str, *, traced: bool) -> bool:
    if section.startswith(_TRACED):
        if section.startswith(_REGISTERS) and os.uname().machine != _REGISTERS_MACHINE:
            return False
        return traced and bool(btf.function(section.partition("/")[2]))
    return bool(btf.function(f"bpf_lsm_{section.removeprefix('lsm/')}"))


def _locks() -> dict[str, int]:
    """The addresses of the locks, or none: then every path is walked."""
    found = addresses(LOCKS)
    missing = [name for name in LOCKS if name not in found]
    if not missing:
        return found
    _LOG.warning(
        "the BPF enforcer is slower than it could be: %s does not show where %s is", KALLSYMS, " and ".join(missing)
    )
    return {}


def _configure(settings: Settings, maps: dict[str, int], locks: dict[str, int]) -> None:
    lib = library()
    lib.number("the size of the table", "bpf_map__set_value_size", maps["table"], settings.table_bytes)
    rodata = next((item for name, item in maps.items() if name.endswith(".rodata")), None)
    if rodata is None:
        raise BpfError(f"the BPF object {settings.object_path} has no section .rodata")
    size = ctypes.c_size_t()
    address = lib.pointer("the constants", "bpf_map__initial_value", rodata, ctypes.byref(size))
    if size.value < ctypes.sizeof(RoData):
        raise BpfError(f"the BPF object {settings.object_path} has {size.value} bytes of constants; rebuild it")
    constants = RoData.from_address(address)
    constants.host_mount_namespace = host_mount_namespace()
    constants.table_words = settings.table_bytes // 4
    constants.events_per_second = settings.events_per_second
    constants.loads_in_order = int(os.uname().machine == "x86_64")
    for name, address in locks.items():
        setattr(constants, name, address)


def _attach(program: int, pins: Path, *, optional: bool) -> bool:
    """Attach and pin a program; False when the kernel refuses one that is optional."""
    lib = library()
    name = _text("bpf_program__name", program)
    what = "iter" if _section(program).startswith(_ITERATOR) else "link"
    try:
        link = lib.pointer(f"the BPF program {name} cannot be attached", "bpf_program__attach", program)
    except BpfError as error:
        if not optional:
            raise
        _LOG.warning("%s", error)
        return False
    try:
        _pin("link", name, "bpf_link__pin", link, pins / f"{what}_{name}")
    finally:
        # the pin keeps it attached
        lib.call("bpf_link__destroy", link)
    return True


def _pin(kind: str, name: str, function: str, item: int, path: Path) -> None:
    library().number(f"the BPF {kind} {name} cannot be pinned as {path}", function, item, str(path).encode())

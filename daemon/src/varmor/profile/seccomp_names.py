# SPDX-License-Identifier: Apache-2.0
"""Names of syscalls, by libseccomp: the authority that the container runtimes use too."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from varmor.errors import VarmorError

_MODULES = ("seccomp", "pyseccomp")
_HIGHEST = 600
_X32_BIT = 0x40000000
_ARM_PRIVATE = 0x0F0000

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
"""libseccomp's name of the architecture by ``uname -m``."""
_NUMBERS = {
    "SCMP_ARCH_X86_64": (range(_HIGHEST),),
    "SCMP_ARCH_X86": (range(_HIGHEST),),
    "SCMP_ARCH_X32": (range(_X32_BIT, _X32_BIT + _HIGHEST),),
    "SCMP_ARCH_AARCH64": (range(_HIGHEST),),
    "SCMP_ARCH_ARM": (range(_HIGHEST), range(_ARM_PRIVATE, _ARM_PRIVATE + 16)),
}
ABIS = tuple(_NUMBERS)
"""The ABIs whose numbers are known here."""
NARROW_ABIS = frozenset({"SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"})
"""The ABIs of which a filter compares the lower 32 bits of an argument."""


class SeccompLibraryError(VarmorError):
    """libseccomp's Python binding is missing."""


@functools.cache
def _library() -> Any:
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError):
            continue
    raise SeccompLibraryError(
        "syscallRawRules: names of syscalls are checked by libseccomp, whose Python binding is missing: "
        "install the Debian package python3-seccomp (or pyseccomp from PyPI with libseccomp2)"
    )


def is_known(name: str) -> bool:
    """Whether some architecture has a syscall of that name.

    Raises:
        SeccompLibraryError: libseccomp's Python binding is missing.
    """
    library = _library()
    if not name.isascii() or not name.isidentifier():
        return False
    try:
        # -1 says unknown; other negative numbers are libseccomp's own, for calls of other architectures.
        return int(library.resolve_syscall(library.Arch(), name)) != -1
    except (ValueError, TypeError, OSError):
        return False


@functools.cache
def names() -> tuple[str, ...]:
    """The names that this machine's architecture has, for hints.

    Raises:
        SeccompLibraryError: libseccomp's Python binding is missing.
    """
    library = _library()
    return tuple(dict.fromkeys(_resolved(library, library.Arch(), range(_HIGHEST)).values()))


@functools.cache
def calls(abi: str) -> Mapping[int, str]:
    """All syscalls of an ABI (``SCMP_ARCH_*``, one of :data:`ABIS`) by number.

    Raises:
        SeccompLibraryError: libseccomp's Python binding is missing.
        ValueError: an ABI that is not known here.
    """
    if abi not in _NUMBERS:
        raise ValueError(f"unknown architecture {abi[:40]!r}; expected one of {', '.join(ABIS)}")
    library = _library()
    arch = library.Arch(getattr(library.Arch, abi.removeprefix("SCMP_ARCH_")))
    found: dict[int, str] = {}
    for numbers in _NUMBERS[abi]:
        found.update(_resolved(library, arch, numbers))
    return found


def number(name: str, abi: str) -> int | None:
    """The number of a syscall in an ABI; None where the ABI has no such call.

    Raises:
        SeccompLibraryError: libseccomp's Python binding is missing.
        ValueError: an ABI that is not known here.
    """
    return _by_name(abi).get(name)


def abis_of(name: str) -> tuple[str, ...]:
    """The ABIs that have a syscall of that name.

    Raises:
        SeccompLibraryError: libseccomp's Python binding is missing.
    """
    return tuple(abi for abi in ABIS if name in _by_name(abi))


@functools.cache
def _by_name(abi: str) -> Mapping[str, int]:
    # Names are asked for by number: by name libseccomp gives the multiplexed number of socket calls on x86.
    return {name: number for number, name in calls(abi).items()}


def _resolved(library: Any, arch: Any, numbers: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for number in numbers:
        try:
            name = library.resolve_syscall(arch, number)
        except (ValueError, TypeError, OSError):
            continue
        if name:
            found[number] = name.decode() if isinstance(name, bytes) else str(name)
    return found

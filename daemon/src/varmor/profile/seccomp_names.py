# SPDX-License-Identifier: Apache-2.0
"""Names of syscalls, by libseccomp: the authority that the container runtimes use too."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from varmor.errors import VarmorError

_MODULES = ("seccomp", "pyseccomp")
_HIGHEST = 600


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
    found: list[str] = []
    for number in range(_HIGHEST):
        try:
            name = library.resolve_syscall(library.Arch(), number)
        except (ValueError, TypeError, OSError):
            continue
        if name:
            found.append(name.decode() if isinstance(name, bytes) else str(name))
    return tuple(found)

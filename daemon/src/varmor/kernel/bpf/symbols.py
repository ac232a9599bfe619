# SPDX-License-Identifier: Apache-2.0
"""Addresses of the kernel's own variables."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

KALLSYMS = Path("/proc/kallsyms")


def addresses(names: Collection[str], source: Path = KALLSYMS) -> dict[str, int]:
    """The addresses of those variables that the kernel shows, each by its name.

    A name that is not there or not unique is left out, as are all where the kernel shows zeros: without CAP_SYSLOG, or
    with kernel.kptr_restrict=2.
    """
    if not names:
        return {}
    wanted = "|".join(re.escape(name) for name in names)
    # a symbol of a module has the module's name behind it
    line = re.compile(rf"^([0-9a-f]+) [a-zA-Z] ({wanted})$".encode(), re.MULTILINE)
    try:
        text = source.read_bytes()
    except OSError:
        return {}
    found: dict[str, int] = {}
    seen: set[str] = set()
    for match in line.finditer(text):
        name, address = match[2].decode(), int(match[1], 16)
        if address and name not in seen:
            found[name] = address
        else:
            found.pop(name, None)
        seen.add(name)
    return found

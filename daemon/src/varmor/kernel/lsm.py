# SPDX-License-Identifier: Apache-2.0
"""The security modules that the running kernel calls."""

from __future__ import annotations

from pathlib import Path

ACTIVE = Path("/sys/kernel/security/lsm")


def active_modules(path: Path = ACTIVE) -> tuple[str, ...]:
    """Names in calling order; empty when securityfs is not mounted.

    Only this list counts: a module that is built in but absent here accepts programs and profiles and is never
    called.
    """
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return ()
    return tuple(name for name in text.strip().split(",") if name)

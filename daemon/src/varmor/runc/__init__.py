# SPDX-License-Identifier: Apache-2.0
"""varmor-runc: an OCI runtime that asks varmord what a container gets and leaves the work to runc or crun.

It imports nothing but the standard library, and little of that before it knows that it has something to do: engines
call it for every verb.
"""

from __future__ import annotations


def main() -> int:
    """Entry point of the command ``varmor-runc``."""
    from varmor.runc.command import run  # noqa: PLC0415  the package is importable without its machinery

    return run()

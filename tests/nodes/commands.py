# SPDX-License-Identifier: Apache-2.0
"""Run a program of the machine to its end, with its own words in the error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.nodes.errors import CommandError, NodeError, NodeTimeoutError


def search_path() -> str:
    """The search path with the administrator's folders, which a user's shell may lack."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


def run(
    argv: Sequence[str],
    *,
    timeout: float = 600,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Run ``argv`` and return its stdout.

    ``env`` is added to the environment, ``timeout`` is in seconds. Raises `CommandError` for a non-zero status,
    `NodeTimeoutError` past the timeout and `NodeError` when the program is not installed.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            text=True,
            errors="replace",
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": search_path(), **(env or {})},
            check=False,
        )
    except FileNotFoundError as fault:
        raise NodeError(f"program {argv[0]!r} is not installed; run `python -m tests.nodes setup`") from fault
    except subprocess.TimeoutExpired as fault:
        raise NodeTimeoutError(f"`{argv[0]}` did not end within {timeout:.0f} s") from fault
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stdout, done.stderr)
    return done.stdout

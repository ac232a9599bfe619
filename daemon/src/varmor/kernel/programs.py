# SPDX-License-Identifier: Apache-2.0
"""Programs of the node and their versions."""

from __future__ import annotations

import re
import shutil
import subprocess

CONTAINER_PROGRAMS = ("containerd", "dockerd", "podman", "crio", "runc", "crun")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VERSION = re.compile(r"\bv?(\d+\.\d+[\w.+~-]*)")
_SECONDS = 10.0


def versions(names: tuple[str, ...] = CONTAINER_PROGRAMS) -> dict[str, str]:
    """The version of each program that is installed; ``unknown`` for one that does not say."""
    found = {}
    for name in names:
        path = shutil.which(name, path=_PATH)
        if path is not None:
            found[name] = _version(path)
    return found


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    match = _VERSION.search(done.stdout)
    return match.group(1) if match else "unknown"

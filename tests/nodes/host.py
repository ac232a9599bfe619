# SPDX-License-Identifier: Apache-2.0
"""What the machine must have to run test nodes: packages, rights, architecture."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from tests.nodes.commands import run, search_path
from tests.nodes.progress import say

DEBIAN_MARK = Path("/etc/debian_version")
# A program that shows that the package is there, and the package.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "xz": "xz-utils",
    # What tests/kernel run in the light guest, whose root is this machine's.
    "apparmor_parser": "apparmor",
    "runc": "runc",
    "crun": "crun",
}


def missing_packages() -> list[str]:
    """The Debian packages that `setup` would install."""
    missing = {package for name, package in PROGRAMS.items() if shutil.which(name, path=search_path()) is None}
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        missing.add("debian-archive-keyring")
    return sorted(missing)


def setup() -> None:
    """Install what is missing with the machine's apt; does nothing when all is there."""
    missing = missing_packages()
    if not missing:
        say("test nodes: all packages of the machine are there")
        return
    say(f"test nodes: installing {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "--quiet", "update"], env=quiet, timeout=300)
    run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=600", "-qy", "--no-install-recommends", "install", *missing],
        env=quiet,
        timeout=900,
    )


def runnable() -> str | None:
    """The reason why test nodes and the light guest cannot run here, or None when they can."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return f"test nodes need x86-64 Linux; this is {platform.system()} on {platform.machine()}"
    if os.geteuid() != 0:
        return "test nodes are built by mmdebstrap as root; run this as root"
    if not DEBIAN_MARK.exists():
        return "test nodes are built from the machine's Debian mirror; this machine is not Debian"
    missing = missing_packages()
    if missing:
        return f"packages are missing: {' '.join(missing)}; run `python -m tests.nodes setup`"
    return None

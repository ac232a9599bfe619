# SPDX-License-Identifier: Apache-2.0
"""What the tests of AppArmor, audit and the wrapper share: when they can run, and processes under a profile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NAME = "varmor-default-effects"

# The child takes the profile at its next exec, as container runtimes do it.
_LAUNCHER = """
import os, sys
with open("/proc/self/attr/exec", "w") as attribute:
    attribute.write("exec " + sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def text(*rules: str) -> str:
    """A profile that allows everything but what the rules deny."""
    body = "\n".join(f"  {rule}" for rule in rules)
    return (
        "abi <abi/3.0>,\n\ninclude <tunables/global>\n\n"
        f"profile {NAME} flags=(attach_disconnected,mediate_deleted) {{\n"
        f"  file,\n  capability,\n  network,\n  mount,\n  umount,\n  signal,\n  ptrace,\n{body}\n}}\n"
    )


def unavailable() -> str:
    """Why AppArmor cannot be tested here; empty when it can."""
    if os.geteuid() != 0:
        return "loading a profile needs root"
    if not Path("/sys/kernel/security/apparmor/profiles").exists():
        return "this kernel has no AppArmor"
    if not Path("/usr/sbin/apparmor_parser").exists() and not Path("/sbin/apparmor_parser").exists():
        return "apparmor_parser is not installed"
    return ""


def confined(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program under the profile NAME."""
    return subprocess.run(
        [sys.executable, "-c", _LAUNCHER, NAME, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

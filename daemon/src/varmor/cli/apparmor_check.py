# SPDX-License-Identifier: Apache-2.0
"""Checking AppArmor text with the machine's own parser, without loading anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from varmor.errors import VarmorError
from varmor.profile.types import NodeFacts

_TIMEOUT_SECONDS = 60
_ABI_DIRECTORY = Path("/etc/apparmor.d/abi")


class AppArmorTextError(VarmorError):
    """apparmor_parser refuses a profile; its own words are kept."""

    exit_code = 2


def parser_program() -> str | None:
    """The path of apparmor_parser, None where it is not installed."""
    return shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin:/bin")


def local_facts(facts: NodeFacts) -> NodeFacts:
    """``facts`` with the version of this machine's parser and its ABI files, where there is one."""
    program = parser_program()
    if program is None:
        return facts
    output = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    version = re.search(r"version (\d+)\.(\d+)", output.stdout)
    if version is None:
        return facts
    names = tuple(sorted(item.name for item in _ABI_DIRECTORY.iterdir())) if _ABI_DIRECTORY.is_dir() else ()
    return NodeFacts(
        apparmor_parser=(int(version[1]), int(version[2])),
        apparmor_abi=names,
        disk_devices=facts.disk_devices,
        enforcers=facts.enforcers,
        machine=facts.machine,
    )


def check(program: str, name: str, text: str) -> None:
    """Compile the profile without a kernel.

    Raises:
        AppArmorTextError: the parser refuses it.
    """
    # -Q compiles and does not load, -K leaves the caches alone.
    output = subprocess.run(
        [program, "-Q", "-K"], input=text, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    if output.returncode != 0:
        words = " ".join((output.stderr or output.stdout).split())
        raise AppArmorTextError(f"profile {name}: apparmor_parser: {words}{_quoted_line(words, text)}")


def _quoted_line(words: str, text: str) -> str:
    """The line of the text that the parser complains of."""
    place = re.search(r"\bline (\d+)", words)
    lines = text.splitlines()
    if place is None or not 1 <= int(place[1]) <= len(lines):
        return ""
    return f"; that line is: {lines[int(place[1]) - 1].strip()!r}"

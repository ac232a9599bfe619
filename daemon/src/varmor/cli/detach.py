# SPDX-License-Identifier: Apache-2.0
"""``varmor detach``: end all enforcement on this node, and say what is left."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path

from varmor.cli import client
from varmor.errors import VarmorError
from varmor.kernel.apparmor import DIRECTORY, AppArmor
from varmor.kernel.apparmor_parser import AppArmorError
from varmor.kernel.bpf.pins import ROOT
from varmor.workload.units import DROP_IN

RELEASE = Path("/usr/lib/varmor/release-node")
DROP_INS = Path("/etc/systemd/system")
_SECONDS = 120
_CONNECT_SECONDS = 10


class DetachError(VarmorError):
    """Enforcement was not, or not wholly, ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--socket", type=Path, default=client.DEFAULT_SOCKET, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Remove programs, profiles and drop-ins; policies, settings and records stay.

    Raises:
        DetachError: not root, the daemon runs, the package is not installed, or something is still there afterwards.
    """
    if os.geteuid() != 0:
        raise DetachError("only root can end enforcement")
    found = attached()
    if arguments.dry_run:
        _show(found, "would be removed")
        return 0
    if is_running(arguments.socket):
        raise DetachError(
            "varmord runs and would load everything again; stop it first: systemctl disable --now varmord.service"
        )
    if not RELEASE.is_file():
        raise DetachError(f"{RELEASE} is missing; is the package varmor installed?")
    done = subprocess.run([RELEASE], capture_output=True, text=True, timeout=_SECONDS, check=False)
    left = attached()
    if left or done.returncode:
        said = " ".join(done.stderr.split())
        raise DetachError(f"still there: {', '.join(left) or 'nothing'}{f'; {said}' if said else ''}")
    _show(found, "removed")
    print("containers and units that run keep their seccomp filters until they end", file=sys.stderr)
    return 0


def is_running(path: Path) -> bool:
    """Whether a daemon listens, be it busy or not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            return True
    return True


def attached(
    pins: Path = ROOT,
    profiles: Path = DIRECTORY,
    drop_ins: Path = DROP_INS,
    apparmor: AppArmor | None = None,
) -> list[str]:
    """What of ours is in force on this node or would be after a reboot."""
    found = [f"BPF programs {path}" for path in sorted(pins.glob("*"))]
    try:
        loaded = set((apparmor or AppArmor()).state())
    except AppArmorError:
        loaded = set()  # no AppArmor in this kernel
    names = loaded | {path.name for path in profiles.glob("varmor-*")}
    found += [f"AppArmor profile {name}" for name in sorted(names)]
    return found + [f"drop-in {path}" for path in sorted(drop_ins.glob(f"*.d/{DROP_IN}"))]


def _show(found: list[str], what: str) -> None:
    for item in found:
        print(f"{what}: {item}")
    if not found:
        print("nothing of varmor is in force here")

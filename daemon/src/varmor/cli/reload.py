# SPDX-License-Identifier: Apache-2.0
"""``varmor reload``: read the manifests again now and wait until they are in force."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from varmor.cli import client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--socket", type=Path, default=client.DEFAULT_SOCKET, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Ask for a pass; 2 when a manifest is refused, each with its reason on standard error.

    Raises:
        DaemonError: the daemon does not answer.
    """
    errors = client.request("reload", socket_path=arguments.socket, timeout=300.0)["errors"]
    for error in errors:
        print(f"varmor: {error}", file=sys.stderr)
    return 2 if errors else 0

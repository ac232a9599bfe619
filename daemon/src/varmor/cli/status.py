# SPDX-License-Identifier: Apache-2.0
"""``varmor status``: what is enforced on this node, on what, and why something is not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from varmor.cli import client, status_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("--socket", type=Path, default=client.DEFAULT_SOCKET, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 0 when every policy is in force as it is written, 1 when one is not.

    Raises:
        DaemonError: the daemon does not answer.
    """
    status = client.request("status", socket_path=arguments.socket)
    print(json.dumps(status, indent=2) if arguments.json else status_text.render(status))
    return 0 if all(policy["ready"] for policy in status["policies"]) and not status["errors"] else 1

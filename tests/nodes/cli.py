# SPDX-License-Identifier: Apache-2.0
"""The command ``python -m tests.nodes``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.nodes import host
from tests.nodes.errors import NodeError, NodeTimeoutError
from tests.nodes.guest import GuestOptions, run_guest


def _guest(arguments: argparse.Namespace) -> int:
    options = GuestOptions(
        suite=arguments.kernel,
        timeout=arguments.timeout,
        icount=arguments.icount,
        memory=arguments.memory,
        cmdline=arguments.cmdline,
    )

    def show(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def complain(data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    result = run_guest(arguments.command, options, out=arguments.out, on_stdout=show, on_stderr=complain)
    if arguments.console:
        sys.stderr.write(result.console)
    return result.returncode


def _setup(_arguments: argparse.Namespace) -> int:
    host.setup()
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tests.nodes", description="Test nodes and the light guest.")
    verbs = top.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("setup", help="install the Debian packages that test nodes need")
    verb.set_defaults(run=_setup)
    verb = verbs.add_parser("guest", help="run one command on a stock kernel over the machine's own root")
    verb.add_argument("--kernel", default="bookworm", metavar="SUITE", help="bookworm, trixie or trixie-backports")
    verb.add_argument("--icount", action="store_true", help="the guest's clock counts instructions, one processor")
    verb.add_argument("--timeout", type=float, default=300, metavar="S", help="seconds for the whole run")
    verb.add_argument("--memory", type=int, default=4096, metavar="MIB")
    verb.add_argument("--cmdline", default="", help="more of the kernel's command line")
    verb.add_argument("--out", type=Path, help="the folder that the guest sees as /out, writable")
    verb.add_argument("--console", action="store_true", help="print the kernel's console at the end")
    verb.add_argument("command", nargs="+", metavar="CMD")
    verb.set_defaults(run=_guest)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (124 for a timeout)."""
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except NodeTimeoutError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 124
    except NodeError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return status

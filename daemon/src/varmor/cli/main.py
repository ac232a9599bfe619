# SPDX-License-Identifier: Apache-2.0
"""The command ``varmor``.

Exit codes: 0 success, 2 a policy or the command line is wrong, 1 anything else. Errors are one line on standard error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import varmor
from varmor.errors import VarmorError


class CommandModule(Protocol):
    """What the module of a subcommand offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommand's own arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand. Its module is imported when it is called, so that one command does not pay for the others."""

    name: str
    module: str
    help: str


COMMANDS = (
    Command("validate", "varmor.cli.validate", "check policies"),
    Command("compile", "varmor.cli.compile", "show what each enforcer would load for a policy"),
    Command("explain", "varmor.cli.explain", "say what a built-in rule does"),
    Command("status", "varmor.cli.status", "show what is enforced on this node, and why something is not"),
    Command("reload", "varmor.cli.reload", "read the manifests again now and wait until they are in force"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(words)
    except VarmorError as error:
        print(f"varmor: {_one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        print(f"varmor: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(words: list[str]) -> int:
    chosen = next((word for word in words if not word.startswith("-")), "")
    parser = argparse.ArgumentParser(
        prog="varmor",
        description="Confinement for containers and services: policies for AppArmor, BPF and seccomp.",
        epilog="Exit codes: 0 success, 2 wrong policy or command line, 1 other failures.",
    )
    parser.add_argument("--version", action="version", version=f"varmor {varmor.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module: CommandModule | None = None
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help.capitalize() + ".")
        if command.name == chosen:
            module = cast("CommandModule", importlib.import_module(command.module))
            module.add_arguments(subparser)
    arguments = parser.parse_args(words)
    if module is None:
        parser.error(f"unknown command {arguments.command!r}")
    code = module.run(arguments)
    sys.stdout.flush()
    return code


def _reader_gone() -> int:
    # The reader of our output is gone, as in `varmor compile x | head`: stay quiet, also when Python flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The command ``varmor``.

Errors are one line on standard error; the exit codes are those of :data:`EXIT_CODES`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
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


EXIT_CODES = (
    "0 success, 1 a failure that is not yours, 2 a wrong policy or command line, "
    "3 the policies differ (diff --exit-code), 130 interrupted"
)

COMMANDS = (
    Command("validate", "varmor.cli.validate", "check policies"),
    Command("compile", "varmor.cli.compile", "show what each enforcer would load for a policy"),
    Command("explain", "varmor.cli.explain", "say what a policy does with one act, and which rule decides"),
    Command("diff", "varmor.cli.diff", "say what becomes allowed or denied when one policy takes another's place"),
    Command("status", "varmor.cli.status", "show what is enforced on this node, and why something is not"),
    Command("reload", "varmor.cli.reload", "read the manifests again now and wait until they are in force"),
    Command("detach", "varmor.cli.detach", "end all enforcement on this node"),
    Command("trace", "varmor.cli.trace", "show who in a workload makes a call, or is refused one"),
    Command("crds", "varmor.cli.crds", "print the custom resource definitions for a Kubernetes API server"),
    Command("rules", "varmor.cli.rules", "list the built-in rules, or say all about one"),
    Command("completion", "varmor.cli.completion", "print what a shell needs to complete this command"),
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


def build_parser(chosen: Callable[[str], bool]) -> tuple[argparse.ArgumentParser, dict[str, CommandModule]]:
    """The parser of the command line, and the modules of the chosen subcommands. The others have no arguments yet."""
    parser = argparse.ArgumentParser(
        prog="varmor",
        description="Confinement for containers and services: policies for AppArmor, BPF and seccomp.",
        epilog=f"Exit codes: {EXIT_CODES}.",
    )
    parser.add_argument("--version", action="version", version=f"varmor {varmor.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules: dict[str, CommandModule] = {}
    for command in COMMANDS:
        description = f"{command.help[0].upper()}{command.help[1:]}."
        subparser = subparsers.add_parser(
            command.name, help=command.help, description=description, epilog=f"Exit codes: {EXIT_CODES}."
        )
        if chosen(command.name):
            modules[command.name] = cast("CommandModule", importlib.import_module(command.module))
            modules[command.name].add_arguments(subparser)
    return parser, modules


def _run(words: list[str]) -> int:
    wanted = next((word for word in words if not word.startswith("-")), "")
    parser, modules = build_parser(lambda name: name == wanted)
    arguments = parser.parse_args(words)
    module = modules.get(arguments.command)
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

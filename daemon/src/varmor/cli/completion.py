# SPDX-License-Identifier: Apache-2.0
"""``varmor completion``: what bash and zsh need to complete this command. The package installs the same files."""

from __future__ import annotations

import argparse
import sys
from importlib import resources

FILES = {"bash": "varmor.bash", "zsh": "_varmor"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor completion``."""
    parser.add_argument("shell", choices=tuple(FILES), help="for example: source <(varmor completion bash)")


def run(arguments: argparse.Namespace) -> int:
    """Print the file of the shell."""
    sys.stdout.write((resources.files("varmor.cli") / "completions" / FILES[arguments.shell]).read_text("utf-8"))
    return 0

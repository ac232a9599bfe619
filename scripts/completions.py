# SPDX-License-Identifier: Apache-2.0
"""Writes the shells' completions of the command ``varmor`` from its argument parser."""

from __future__ import annotations

from pathlib import Path

import shtab

from varmor.cli.completion import FILES
from varmor.cli.main import build_parser

FOLDER = Path(__file__).parents[1] / "daemon" / "src" / "varmor" / "cli" / "completions"


def completions() -> dict[str, str]:
    """The text of each file."""
    parser, _ = build_parser(lambda _name: True)
    return {file: shtab.complete(parser, shell=shell) for shell, file in FILES.items()}


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for file, text in completions().items():
        (FOLDER / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""docs/reference/command.md: the command line, from its own parser."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from varmor.cli.main import COMMANDS, EXIT_CODES, build_parser

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command.md"

_INTRODUCTION = """# The command `varmor`

Made from the command's own parser by `python -m scripts.command_page`; do not edit.

`FILE` is a manifest, a directory of manifests, or `-` for standard input. A file may hold many YAML
documents, JSON, and what `kubectl get -o yaml` or `-o json` prints (a `List`); beside policies it may hold
`ArmorProfileModel` objects. Faults and warnings go to standard error, one line each, beginning with file,
line and column; results go to standard output. What is compiled depends on the node: `--kernel`, `--apparmor`
and `--machine` say for which one, without them it is this machine.

Shell completion: `source <(varmor completion bash)`, or for zsh `varmor completion zsh >
"${fpath[1]}/_varmor"`; the Debian package installs both.

## Exit codes

"""


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION + _codes(), *_commands()])


def _codes() -> str:
    lines = ["| code | meaning |", "|---|---|"]
    for part in EXIT_CODES.split(", "):
        number, meaning = part.split(" ", 1)
        lines.append(f"| {number} | {meaning} |")
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    os.environ["COLUMNS"] = "100"
    parser, _ = build_parser(lambda _name: True)
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for command in COMMANDS:
        subparser = actions[0].choices[command.name]
        text = subparser.format_help().removesuffix("\n")
        body = text.split(f"Exit codes: {EXIT_CODES.split(', ')[0]}")[0].rstrip()
        yield f"## varmor {command.name}\n\n```text\n{body}\n```\n"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

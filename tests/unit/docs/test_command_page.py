# SPDX-License-Identifier: Apache-2.0
"""The page about the command is the parser's own help."""

from __future__ import annotations

from scripts.command_page import PAGE, page
from varmor.cli.main import COMMANDS


def test_the_page_is_made_from_the_parser() -> None:
    assert PAGE.read_text() == page(), "run python -m scripts.command_page"


def test_every_command_is_in_it() -> None:
    assert all(f"## varmor {command.name}\n" in page() for command in COMMANDS)

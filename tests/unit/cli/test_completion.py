# SPDX-License-Identifier: Apache-2.0
"""The shells' completions belong to this command line."""

from __future__ import annotations

import subprocess

import pytest

from scripts.completions import FOLDER, completions
from varmor.cli.completion import FILES
from varmor.cli.main import COMMANDS, main


@pytest.mark.parametrize("file", FILES.values())
def test_the_files_are_made_from_the_parser(file: str) -> None:
    assert (FOLDER / file).read_text() == completions()[file], "run python -m scripts.completions"


def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert {command.name for command in COMMANDS} <= set(_completed(script, "varmor ''"))
    assert "--against" in _completed(script, "varmor validate --")


def _completed(script: str, words: str) -> list[str]:
    """What bash offers for the last of the words."""
    ask = f"""COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_varmor; echo "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from scripts import sanity


def test_the_stand_in_for_get_pip_has_the_name_that_ansible_test_looks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanity, "PIP_CACHE", tmp_path / "cache")
    sanity.seed_pip()
    (seeded,) = (tmp_path / "cache").iterdir()
    assert seeded.name == f"get_pip_{sanity.wanted_pip().replace('.', '_')}.py"
    seeded.write_text("the original")
    sanity.seed_pip()
    assert seeded.read_text() == "the original"


def test_ansible_test_judges_the_collection_and_its_tests_only() -> None:
    names = sanity.ansible_files()
    assert {"galaxy.yml", "plugins/modules/policy.py", "tests/unit/plugins/conftest.py"} <= set(names)
    assert not [name for name in names if name.startswith(("daemon/", "scripts/", "tests/nodes/"))]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("#!/bin/sh", True),
        ("#!/usr/bin/env bash", True),
        ("#! /bin/sh", True),
        ("#!/usr/bin/python3", False),
        ("", False),
    ],
)
def test_shell_scripts_are_known_by_their_first_line(tmp_path: Path, first: str, expected: bool) -> None:
    script = tmp_path / "program"
    script.write_text(f"{first}\nexit 0\n")
    assert sanity.is_shell_script(script) is expected


def test_an_unknown_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sanity.main(["pep8"])
    assert "unknown check 'pep8'; known are ansible-lint" in capsys.readouterr().err


def test_every_check_is_run_and_a_failure_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sanity, "CHECKS", {"one": lambda: False, "two": lambda: True})
    assert sanity.main([]) == 1
    assert capsys.readouterr().out == "sanity: one failed\n"
    assert sanity.main(["two"]) == 0

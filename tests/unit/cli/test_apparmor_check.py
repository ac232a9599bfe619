# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.manifests import manifest
from varmor.cli import apparmor_check
from varmor.cli.main import main
from varmor.profile.types import NodeFacts

_PARSER = """#!/bin/sh
case "$1" in
  --version) echo "AppArmor parser version 4.1.0" ;;
  *) if grep -q broken; then echo "AppArmor parser error in profile, line 7: syntax error" >&2; exit 1; fi ;;
esac
"""


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that answers as apparmor_parser does, so that the test does not depend on the machine's."""
    program = tmp_path / "apparmor_parser"
    program.write_text(_PARSER, encoding="utf-8")
    program.chmod(0o755)
    abi = tmp_path / "abi"
    abi.mkdir()
    (abi / "3.0").touch()
    (abi / "4.0").touch()
    monkeypatch.setattr(apparmor_check, "_ABI_DIRECTORY", abi)
    monkeypatch.setattr("varmor.cli.apparmor_check.shutil.which", lambda *_args, **_options: str(program))
    return str(program)


@pytest.mark.usefixtures("parser")
def test_facts() -> None:
    facts = apparmor_check.local_facts(NodeFacts(machine="m"))
    assert (facts.apparmor_parser, facts.apparmor_abi, facts.machine) == ((4, 1), ("3.0", "4.0"), "m")


def test_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varmor.cli.apparmor_check.shutil.which", lambda *_args, **_options: None)
    assert apparmor_check.local_facts(NodeFacts()) == NodeFacts()


def test_the_parsers_words_and_the_line(parser: str) -> None:
    text = "1\n2\n3\n4\n5\n6\n  broken rule,\n"
    with pytest.raises(apparmor_check.AppArmorTextError) as caught:
        apparmor_check.check(parser, "p", text)
    assert str(caught.value) == (
        "profile p: apparmor_parser: AppArmor parser error in profile, line 7: syntax error; "
        "that line is: 'broken rule,'"
    )


@pytest.mark.usefixtures("parser")
def test_validate_asks_the_parser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(manifest(appArmorRawRules=[{"rules": "deny /broken w,"}])), encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "VarmorPolicy default/web: profile varmor-default-web: apparmor_parser: AppArmor parser error" in shown
    assert shown.count("\n") == 1

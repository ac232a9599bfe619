# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.manifests import policy, profile
from varmor.cli import apparmor_check
from varmor.cli.main import main
from varmor.errors import PolicyError
from varmor.kernel.apparmor_parser import Parser
from varmor.profile.types import NodeFacts

_PARSER = """#!/bin/sh
case "$1" in
  --version) echo "AppArmor parser version 4.1.0"; exit 0 ;;
  --names) echo varmor-default-web; exit 0 ;;
esac
line=$(grep -n broken | cut -d: -f1)
[ -z "$line" ] && exit 0
echo "AppArmor parser error for /proc/self/fd/0 in profile /proc/self/fd/0 at line $line: syntax error" >&2
exit 1
"""
_MANIFEST = """\
apiVersion: crd.varmor.org/v1beta1
kind: VarmorPolicy
metadata: {name: web}
spec:
  target: {kind: Container, name: web}
  policy:
    enforcer: AppArmor
    mode: EnhanceProtect
    enhanceProtect:
      appArmorRawRules:
        - rules: |
            deny /right w,
            deny /broken w,
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that answers as apparmor_parser does, so that the test does not depend on the machine's."""
    path = tmp_path / "apparmor_parser"
    path.write_text(_PARSER, encoding="utf-8")
    path.chmod(0o755)
    abi = tmp_path / "abi"
    abi.mkdir()
    for name in ("3.0", "4.0", "kernel-5.4-vanilla"):
        (abi / name).touch()
    monkeypatch.setattr(apparmor_check, "Parser", lambda program=str(path): Parser(program, base=tmp_path))
    return str(path)


@pytest.mark.usefixtures("program")
def test_facts() -> None:
    facts = apparmor_check.local_facts(NodeFacts(machine="m", kernel=(7, 1)))
    assert facts == NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"), machine="m", kernel=(7, 1))


def test_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varmor.kernel.apparmor_parser.shutil.which", lambda *_args, **_options: None)
    assert apparmor_check.local_facts(NodeFacts()) == NodeFacts()
    assert apparmor_check.parser_program() is None


def test_a_parser_that_says_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apparmor_check, "Parser", lambda: Parser("/bin/true", base=tmp_path))
    assert apparmor_check.local_facts(NodeFacts()) == NodeFacts()


def test_a_profile_that_is_right_or_none(program: str) -> None:
    apparmor_check.check(program, policy(), profile())
    apparmor_check.check(program, policy(), profile(enforcer="Seccomp"))


def test_the_parsers_words_and_the_field(program: str) -> None:
    values: dict[str, Any] = {"appArmorRawRules": [{"rules": "deny /a w,\ndeny /broken w,"}]}
    with pytest.raises(PolicyError) as caught:
        apparmor_check.check(program, policy(**values), profile(**values))
    assert caught.value.field == "spec.policy.enhanceProtect.appArmorRawRules[0].rules"
    assert caught.value.problem.startswith(
        "line 2 of the text: `deny /broken w,`: apparmor_parser: AppArmor parser error"
    )


@pytest.mark.usefixtures("program")
def test_validate_asks_the_parser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(_MANIFEST, encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    shown = capsys.readouterr().err
    assert f"{path}:13: VarmorPolicy default/web: spec.policy.enhanceProtect.appArmorRawRules[0].rules: " in shown
    assert "apparmor_parser: AppArmor parser error" in shown

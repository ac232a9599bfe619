# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.manifests import policy
from varmor.kernel.apparmor_parser import AppArmorError, AppArmorTextError, Parser

TEXT = "abi <abi/3.0>,\nprofile varmor-a {\n  nonsense here,\n}\n"


def program(directory: Path, body: str) -> str:
    path = directory / "apparmor_parser"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_version(tmp_path: Path) -> None:
    parser = Parser(program(tmp_path, "echo 'AppArmor parser version 3.0.8'"))
    assert parser.version() == (3, 0)


def test_a_version_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(AppArmorError, match="expected a version, found 'hello'"):
        Parser(program(tmp_path, "echo hello")).version()


def test_a_missing_program_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(AppArmorError, match="install the package"):
        Parser(str(tmp_path / "none")).run(["--version"])


def test_errors_carry_line_text_and_the_parsers_words(tmp_path: Path) -> None:
    words = "AppArmor parser error for stdin in stdin at line 3: syntax error, unexpected TOK_ID"
    parser = Parser(program(tmp_path, f"cat >/dev/null; echo '{words}' >&2; exit 1"))
    with pytest.raises(AppArmorTextError) as caught:
        parser.check("varmor-a", TEXT)
    assert caught.value.line == 3
    assert str(caught.value) == f"AppArmor profile varmor-a: line 3, `nonsense here,`: {words}"


def test_errors_name_the_field_of_a_custom_rule(tmp_path: Path) -> None:
    field = "spec.policy.enhanceProtect.appArmorRawRules[0].rules"
    text = f"profile varmor-a {{\n# begin {field}\ndeny /a w,\nnonsense,\n# end {field}\n}}\n"
    words = "AppArmor parser error for /proc/self/fd/0 in profile /proc/self/fd/0 at line 4: syntax error"
    parser = Parser(program(tmp_path, f"cat >/dev/null; echo '{words}' >&2; exit 1"))
    with pytest.raises(AppArmorTextError) as caught:
        parser.check("varmor-a", text)
    assert str(caught.value) == f"AppArmor profile varmor-a: {field}: line 2 of the text, `nonsense,`: {words}"
    about = caught.value.about(policy(appArmorRawRules=[{"rules": "deny /a w,\nnonsense,"}]))
    assert (
        str(about)
        == f"test: VarmorPolicy default/web: {field}: line 2 of the text: `nonsense,`: apparmor_parser: {words}"
    )


def test_errors_about_other_lines_are_about_the_policy(tmp_path: Path) -> None:
    parser = Parser(program(tmp_path, "cat >/dev/null; echo 'Out of memory' >&2; exit 1"))
    with pytest.raises(AppArmorTextError) as caught:
        parser.check("varmor-a", TEXT)
    message = "test: VarmorPolicy default/web: AppArmor profile varmor-a: Out of memory"
    assert str(caught.value.about(policy())) == message


def test_a_text_that_declares_another_profile_is_refused(tmp_path: Path) -> None:
    parser = Parser(program(tmp_path, 'cat >/dev/null; [ "$1" = --names ] && printf "varmor-a\nsshd\n"; exit 0'))
    with pytest.raises(AppArmorError, match="declares another profile, 'sshd'"):
        parser.check("varmor-a", TEXT)


def test_child_profiles_and_warnings_pass(tmp_path: Path) -> None:
    names = 'printf "varmor-a\nvarmor-a//child\n"'
    body = f'cat >/dev/null; if [ "$1" = --names ]; then {names}; else echo "Warning from stdin" >&2; fi'
    assert Parser(program(tmp_path, body)).check("varmor-a", TEXT) == ["Warning from stdin"]


def test_a_parser_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(AppArmorError, match=r"did not end within 0\.2 s"):
        Parser(program(tmp_path, "exec sleep 60"), timeout=0.2).run([])


def test_abi_files_are_the_numbered_ones(tmp_path: Path) -> None:
    (tmp_path / "abi").mkdir()
    for name in ("4.0", "3.0", "kernel-5.4-vanilla"):
        (tmp_path / "abi" / name).touch()
    assert Parser(base=tmp_path).abi_files() == ("3.0", "4.0")
    assert Parser(base=tmp_path / "none").abi_files() == ()

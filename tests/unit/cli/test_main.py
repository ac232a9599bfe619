# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import varmor
from tests.unit.manifests import manifest
from varmor.cli.main import COMMANDS, main


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(yaml.safe_dump(manifest(hardeningRules=["disallow-mount"])), encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(manifest(hardeningRules=["disalow-mount"])), encoding="utf-8")
    return path


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"varmor {varmor.__version__}\n"


@pytest.mark.parametrize("words", [[], ["no-such"], ["validate"], ["compile", "--enforcer", "tomoyo", "x"]])
def test_wrong_command_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: varmor" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_has_help(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = getattr(command, "name", "")
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: varmor {name}" in capsys.readouterr().out


def test_validate(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(good)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{good}: VarmorPolicy default/web: valid (AppArmor, BPF, Seccomp, EnhanceProtect)\n"
    assert shown.err == ""


def test_validate_goes_on_after_an_error(good: Path, bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--quiet", str(bad), str(good), "/no/such.yaml"]) == 2
    missing, unknown = capsys.readouterr().err.splitlines()
    assert missing == "varmor: /no/such.yaml: No such file or directory"
    assert unknown.startswith(f"varmor: {bad}:")
    assert unknown.endswith("unknown rule 'disalow-mount' (did you mean 'disallow-mount'?)")


def test_validate_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(yaml.safe_dump(manifest(enforcer="Seccomp")), encoding="utf-8")
    assert main(["validate", str(path)]) == 0
    assert "warning: spec.policy.enforcer: Seccomp has nothing to do here" in capsys.readouterr().err


def test_validate_finds_rules_that_the_kernel_side_cannot_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    files = [{"qualifiers": ["deny"], "pattern": "/**a" + "?" * 30, "permissions": ["r"]}]
    path.write_text(yaml.safe_dump(manifest(enforcer="BPF", bpfRawRules={"files": files})), encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    said = capsys.readouterr().err
    assert "bpfRawRules.files[0]" in said
    assert "alone needs more than 2000 states in the kernel's tables" in said


def test_validate_a_directory(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(good.parent)]) == 0
    empty = good.parent / "empty"
    empty.mkdir()
    assert main(["validate", str(empty)]) == 1
    assert "no manifests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\xff\xfe\x00", 2, "not UTF-8 text"),
        (b"a: [", 2, "not valid YAML"),
        (b"# " + b"x" * (1 << 20), 2, "larger than 1048576 bytes"),
        (b"", 0, "no policy in this file"),
        (b"just text", 2, "expected a mapping, found a string 'just text'"),
    ],
)
def test_validate_odd_files(
    content: bytes, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    assert main(["validate", str(path)]) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown
    assert shown.count("\n") == 1


def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = io.BytesIO(yaml.safe_dump(manifest(hardeningRules=["nope"])).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))
    assert main(["validate", "-"]) == 2
    assert capsys.readouterr().err.startswith("varmor: <stdin>:")


def test_compile_text(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(good)]) == 0
    out = capsys.readouterr().out
    assert "# VarmorPolicy default/web: profile varmor-default-web, mode EnhanceProtect" in out
    assert "## AppArmor\n" in out
    assert "  deny mount," in out
    assert "deny mount ** fstype=*  # disallow-mount" in out
    assert '"mount"' in out


def test_compile_one_enforcer(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(good), "--enforcer", "BPF"]) == 0
    out = capsys.readouterr().out
    assert "## BPF" in out
    assert "## AppArmor" not in out
    assert "## Seccomp" not in out


def test_compile_json(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "--json", str(good)]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["name"] == "varmor-default-web"
    assert document["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"
    assert len(document["digest"]) == 64
    assert document["noEffect"] == []
    assert main(["compile", "--json", "--enforcer", "seccomp", str(good), str(good)]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert len(documents) == 2
    assert "apparmor" not in documents[0]


def test_compile_unit_and_egress(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "unit.yaml"
    ports = [{"port": 443}, {"port": 8000, "endPort": 8001}]
    rules = {"network": {"egress": {"toDestinations": [{"qualifiers": ["audit"], "ports": ports}]}}}
    document = manifest(
        target={"kind": "Unit", "name": "a.service"},
        hardeningRules=["disable-cap-net-raw", "disallow-create-user-ns"],
        bpfRawRules=rules,
    )
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(["compile", str(path)]) == 0
    out = capsys.readouterr().out
    assert "[Service]\nAppArmorProfile=varmor-default-web\nSystemCallArchitectures=native\n" in out
    assert "audit connect any port 443,8000-8001  # bpfRawRules.network.egress.toDestinations[0]" in out
    assert "deny capability net_raw  # disable-cap-net-raw" in out


def test_compile_errors(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(bad)]) == 2
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    assert main(["compile", str(empty)]) == 1
    assert "no policy in it" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(good: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "varmor.cli.main", "compile", str(good)],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "daemon/src"},
    )
    os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == 1

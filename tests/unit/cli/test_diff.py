# SPDX-License-Identifier: Apache-2.0
"""``varmor diff`` says what changes, and nothing where only the text does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.manifests import manifest
from varmor.cli.diff import DIFFERENT
from varmor.cli.main import main

NODE = ["--kernel", "6.1", "--apparmor", "3.0", "--machine", "x86_64"]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes manifests to a file and gives its name."""

    def write(name: str, *documents: dict[str, Any]) -> str:
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        return str(path)

    return write


def test_what_becomes_denied_and_allowed(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    old = write("old.yaml", manifest(enforcer="BPF", attackProtectionRules=[{"rules": ["disable-write-etc"]}]))
    new = write("new.yaml", manifest(enforcer="BPF", hardeningRules=["disable-cap-net-raw"]))
    assert main(["diff", old, new, *NODE]) == 0
    denied, allowed = capsys.readouterr().out.split("becomes allowed:")
    assert "becomes denied:\n    BPF        capability net_raw  [disable-cap-net-raw]" in denied
    assert "append,write /etc{,/**}  e.g. /etc  [disable-write-etc]" in allowed


def test_policies_that_mean_the_same(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rule = {"pattern": "/srv/{a,b}", "permissions": ["read"], "qualifiers": ["deny"]}
    old = write("old.yaml", manifest(enforcer="BPF", bpfRawRules={"files": [rule]}))
    rules = [{**rule, "pattern": f"/srv/{name}"} for name in "ba"]
    new = write("new.yaml", manifest(enforcer="BPF", bpfRawRules={"files": rules}))
    assert main(["diff", old, new, "--exit-code", *NODE]) == 0
    assert "means the same" in capsys.readouterr().out


def test_exit_code_and_json(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    old = write("old.yaml", manifest(enforcer="Seccomp"))
    new = write("new.yaml", manifest(enforcer="Seccomp", vulMitigationRules=["dirty-pipe-mitigation"]))
    assert main(["diff", old, new, "--exit-code", "--json", *NODE]) == DIFFERENT
    (document,) = json.loads(capsys.readouterr().out)
    assert {
        "enforcer": "Seccomp",
        "effect": "denied",
        "what": "splice",
        "example": "",
        "origin": "ALLOW -> ERRNO(1)",
        "executables": [],
    } in document["changes"]


def test_new_and_removed_policies(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = manifest(metadata={"name": "one"}), manifest(metadata={"name": "two"})
    third = manifest(metadata={"name": "three"})
    assert main(["diff", write("old.yaml", first, second), write("new.yaml", second, third), *NODE]) == 0
    out = capsys.readouterr().out
    assert "default/one (EnhanceProtect, AppArmor BPF Seccomp): is removed" in out
    assert "default/three (EnhanceProtect, AppArmor BPF Seccomp): is new" in out
    assert "default/two (EnhanceProtect, AppArmor BPF Seccomp)\n  means the same" in out


def test_observing_instead_of_refusing(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rules: dict[str, Any] = {"enforcer": "AppArmorBPF", "hardeningRules": ["disable-cap-net-raw"]}
    old = write("old.yaml", manifest(**rules, auditViolations=True))
    new = write("new.yaml", manifest(**rules, auditViolations=True, allowViolations=True))
    assert main(["diff", old, new, *NODE]) == 0
    out = capsys.readouterr().out
    assert "becomes denied" not in out
    assert "BPF        capability net_raw  [disable-cap-net-raw]" in out.split("becomes allowed:")[1]
    assert "AppArmor   capability net_raw" in out.split("becomes allowed:")[1]


def test_one_change_for_programs_with_rules_of_their_own(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    group = {"rules": ["disable-write-etc"], "targets": ["/usr/bin/curl"]}
    old = write("old.yaml", manifest(enforcer="AppArmorBPF"))
    new = write("new.yaml", manifest(enforcer="AppArmorBPF", attackProtectionRules=[group]))
    assert main(["diff", old, new, *NODE]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "/etc" in line]
    assert {line.split()[0] for line in lines} == {"AppArmor", "BPF"}
    assert all("after executing /usr/bin/curl" in line for line in lines)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cluster import programs
from tests.nodes.errors import NodeError


def _machine(monkeypatch: pytest.MonkeyPatch, folder: Path, go: str) -> None:
    """A machine whose search path holds openssl, and a ``go`` of this version."""
    names = {"openssl": "", "go": f"echo go version go{go} linux/amd64"} if go else {"openssl": ""}
    for name, script in names.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setattr(programs, "search_path", lambda: str(folder))


def test_version() -> None:
    assert re.fullmatch(r"1\.\d+\.\d+", programs.version())


def test_the_siblings_have_one_version() -> None:
    text = (Path(programs.__file__).parent / "server" / "go.mod").read_text()
    replaced = re.findall(r"^replace (k8s\.io/\S+) => (k8s\.io/\S+) v0\.(\S+)$", text, re.MULTILINE)
    assert len(replaced) > 25
    assert {number for name, target, number in replaced if name == target} == {programs.version().removeprefix("1.")}


@pytest.mark.parametrize(
    ("go", "words"),
    [("", "(`go` is not installed)"), ("1.9.1", "(found 1.9)"), ("1.99.0", ""), ("2.0.0", "")],
)
def test_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, go: str, words: str) -> None:
    _machine(monkeypatch, tmp_path, go)
    assert programs.unavailable().endswith(words)
    assert bool(programs.unavailable()) == bool(words)


def test_openssl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "search_path", lambda: str(tmp_path))
    assert "openssl" in programs.unavailable()


def test_a_module_without_kubernetes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n")
    monkeypatch.setattr(programs, "_MODULE", tmp_path)
    with pytest.raises(NodeError, match=r"requires no k8s\.io/kubernetes"):
        programs.version()

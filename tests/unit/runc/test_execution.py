# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from varmor.runc import execution
from varmor.runc.invocation import parse


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime's state with a container whose first process is this one, under a profile of ours."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web/state.json").write_text(json.dumps({"init_process_pid": os.getpid()}))
    monkeypatch.setattr(
        execution, "_label", lambda pid: "varmor-a//&unconfined (enforce)" if pid == os.getpid() else ""
    )
    return tmp_path


def test_the_process_file_gets_the_containers_profile(root: Path) -> None:
    process = root / "process"
    process.write_text('{"args": ["sh"], "apparmorProfile": "docker-default"}')
    words = ["--root", str(root), "exec", "--process", str(process), "-d", "web"]
    assert execution.confined_words(parse(words)) == words
    assert json.loads(process.read_text()) == {"args": ["sh"], "apparmorProfile": "varmor-a"}


def test_without_a_file_the_option_is_added(root: Path) -> None:
    words = ["--root", str(root), "exec", "web", "sh"]
    assert execution.confined_words(parse(words)) == ["--root", str(root), "exec", "--apparmor=varmor-a", "web", "sh"]


def test_a_profile_that_was_asked_for_is_left(root: Path) -> None:
    words = ["--root", str(root), "exec", "--apparmor", "mine", "web", "sh"]
    assert execution.confined_words(parse(words)) == words


@pytest.mark.parametrize("state", ["{", "[]", "{}", '{"init_process_pid": 0}', None])
def test_containers_that_are_not_ours(root: Path, state: str | None) -> None:
    (root / "web/state.json").unlink()
    if state is not None:
        (root / "web/state.json").write_text(state)
    words = ["--root", str(root), "exec", "web", "sh"]
    assert execution.confined_words(parse(words)) == words


def test_a_state_of_crun(root: Path) -> None:
    (root / "web/state.json").rename(root / "web/status")
    (root / "web/status").write_text(json.dumps({"pid": os.getpid()}))
    assert "--apparmor=varmor-a" in execution.confined_words(parse(["--root", str(root), "exec", "web", "sh"]))

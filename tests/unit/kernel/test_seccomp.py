# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from varmor.kernel.profile_name import ProfileNameError
from varmor.kernel.seccomp import SeccompError, SeccompFiles

NAME = "varmor-default-web"
PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}


@pytest.fixture
def files(tmp_path: Path) -> SeccompFiles:
    (tmp_path / "sysctl").mkdir()
    (tmp_path / "sysctl/actions_avail").write_text("kill_process errno log allow\n")
    (tmp_path / "sysctl/actions_logged").write_text("kill_process errno log\n")
    return SeccompFiles(tmp_path / "kubelet/seccomp", tmp_path / "own", tmp_path / "sysctl")


def test_both_places_say_the_same(files: SeccompFiles, tmp_path: Path) -> None:
    files.apply(NAME, PROFILE)
    assert json.loads((tmp_path / "kubelet/seccomp" / NAME).read_text()) == PROFILE
    assert json.loads((tmp_path / "own" / f"{NAME}.json").read_text()) == PROFILE
    assert files.state() == {NAME: PROFILE}
    assert files.holds(NAME, PROFILE)
    assert not files.holds(NAME, {})


def test_a_file_that_was_changed_is_noticed(files: SeccompFiles, tmp_path: Path) -> None:
    files.apply(NAME, PROFILE)
    (tmp_path / "own" / f"{NAME}.json").write_text("{}")
    assert files.state() == {NAME: None}
    assert not files.holds(NAME, PROFILE)


def test_remove_twice(files: SeccompFiles) -> None:
    files.apply(NAME, PROFILE)
    files.remove(NAME)
    assert files.state() == {}
    files.remove(NAME)


def test_foreign_files_are_left_alone(files: SeccompFiles, tmp_path: Path) -> None:
    files.apply(NAME, PROFILE)
    (tmp_path / "kubelet/seccomp/audit.json").write_text("{}")
    assert set(files.state()) == {NAME}
    with pytest.raises(ProfileNameError):
        files.remove("audit.json")


def test_a_directory_that_cannot_be_made_is_named(files: SeccompFiles, tmp_path: Path) -> None:
    (tmp_path / "kubelet").write_text("a file")
    with pytest.raises(SeccompError, match="kubelet/seccomp"):
        files.apply(NAME, PROFILE)


def test_support(files: SeccompFiles, tmp_path: Path) -> None:
    assert files.supported().ok
    assert files.records_denials().ok
    (tmp_path / "sysctl/actions_logged").write_text("kill_process log\n")
    assert "lacks errno" in files.records_denials().reason
    (tmp_path / "sysctl/actions_avail").write_text("kill_thread allow\n")
    assert "found" not in files.supported().reason
    assert "expected errno" in files.supported().reason
    assert not SeccompFiles(sysctl=tmp_path / "none").supported().ok

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from varmor.runc import settings
from varmor.runc.settings import Settings, SettingsError, load, real_runtime


def test_without_a_file_it_is_open(tmp_path: Path) -> None:
    found = load(str(tmp_path / "none"))
    assert (found.fail_closed, found.runtime, found.socket) == (False, "", "/run/varmor/varmord.sock")


def test_all_settings(tmp_path: Path) -> None:
    (tmp_path / "s").write_text('{"fail": "closed", "runtime": "/x/runc", "timeout": 5, "socket": "/s"}')
    found = load(str(tmp_path / "s"))
    assert (found.fail_closed, found.runtime, found.timeout, found.socket) == (True, "/x/runc", 5.0, "/s")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting"),
        ("[]", "expected an object, found list"),
        ('{"fial": "open"}', "unknown setting 'fial'; known are fail"),
        ('{"fail": "maybe"}', "fail is 'maybe'; expected open or closed"),
        ('{"timeout": 0}', "timeout is 0; expected seconds"),
        ('{"timeout": true}', "timeout is True"),
        ('{"runtime": "runc"}', "runtime is 'runc'; expected an absolute path"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load(str(tmp_path / "s"))
    assert str(tmp_path / "s") in str(caught.value)


def executable(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_named_runtime(tmp_path: Path) -> None:
    path = executable(tmp_path / "runc")
    assert real_runtime(Settings(runtime=path)) == path
    with pytest.raises(SettingsError, match="not an executable file"):
        real_runtime(Settings(runtime=str(tmp_path / "none")))


def test_never_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = executable(tmp_path / "varmor-runc")
    (tmp_path / "runc").symlink_to(own)
    monkeypatch.setattr(sys, "argv", [own])
    with pytest.raises(SettingsError, match="varmor-runc itself"):
        real_runtime(Settings(runtime=str(tmp_path / "runc")))
    monkeypatch.setattr(settings, "_SEARCH", (str(tmp_path),))
    with pytest.raises(SettingsError, match="neither runc nor crun"):
        real_runtime(Settings())
    crun = executable(tmp_path / "crun")
    assert real_runtime(Settings()) == crun

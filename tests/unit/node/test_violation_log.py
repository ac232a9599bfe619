# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from varmor.node.violation_log import ViolationLog


def files(path: Path) -> dict[str, str]:
    return {entry.name: entry.read_text() for entry in path.parent.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log/violations.log"


def test_lines_are_appended(path: Path) -> None:
    log = ViolationLog(path)
    assert log.write("a")
    log.close()
    assert ViolationLog(path).write("b")
    assert path.read_text() == "a\nb\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_rotation_keeps_three(path: Path) -> None:
    log = ViolationLog(path, largest=4)
    for text in ("11", "22", "33", "44", "55"):
        log.write(text)
    assert files(path) == {
        "violations.log": "55\n",
        "violations.log.1": "44\n",
        "violations.log.2": "33\n",
        "violations.log.3": "22\n",
    }


def test_a_line_longer_than_a_file_has_one_for_itself(path: Path) -> None:
    log = ViolationLog(path, largest=4)
    log.write("a")
    log.write("long line")
    log.write("b")
    assert files(path) == {"violations.log": "b\n", "violations.log.1": "long line\n", "violations.log.2": "a\n"}


def test_a_kill_between_two_renames_loses_no_line(path: Path) -> None:
    log = ViolationLog(path, largest=4)
    for text in ("11", "22", "33"):
        log.write(text)
    log.close()
    path.with_name("violations.log.2").rename(path.with_name("violations.log.3"))
    again = ViolationLog(path, largest=4)
    again.write("44")
    assert sorted(files(path).values()) == ["11\n", "22\n", "33\n", "44\n"]


def test_a_half_written_line_stays_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"a": 1}\n{"b"')
    ViolationLog(path).write("{}")
    assert path.read_text() == '{"a": 1}\n{"b"\n{}\n'


def test_a_file_moved_by_others_is_made_again(path: Path) -> None:
    log = ViolationLog(path)
    log.write("a")
    path.rename(path.with_name("taken"))
    log.write("b")
    path.unlink()
    log.write("c")
    assert files(path) == {"taken": "a\n", "violations.log": "c\n"}


def test_failures_are_counted_and_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("a file, not a directory")
    log = ViolationLog(path)
    assert not log.write("a")
    assert not log.write("b")
    assert log.lost == 2
    assert len(caplog.records) == 1
    path.parent.unlink()
    assert log.write("c")
    assert path.read_text() == "c\n"


def test_links_are_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    (tmp_path / "victim").write_text("x")
    path.symlink_to(tmp_path / "victim")
    log = ViolationLog(path)
    assert not log.write("a")
    assert (tmp_path / "victim").read_text() == "x"

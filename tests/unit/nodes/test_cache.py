# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.nodes import cache


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VARMOR_CACHE", str(tmp_path))
    return tmp_path


def fill(folder: Path) -> None:
    (folder / "file").write_text("content")


def make(number: int) -> Path:
    """An entry whose time of use grows with its number."""
    folder = cache.entry("thing", {"number": number}, fill)
    os.utime(folder, (number, number))
    return folder


def test_the_key_depends_on_every_part_and_not_on_their_order() -> None:
    assert cache.digest({"a": 1, "b": 2}) == cache.digest({"b": 2, "a": 1})
    assert cache.digest({"a": 1, "b": 2}) != cache.digest({"a": 1, "b": 3})


def test_an_entry_is_built_once() -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        fill(folder)

    first = cache.entry("thing", {"key": 1}, build)
    assert cache.entry("thing", {"key": 1}, build) == first
    assert len(built) == 1
    assert (first / "file").read_text() == "content"


def test_a_failed_build_leaves_nothing(root: Path) -> None:
    def build(folder: Path) -> None:
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("thing", {"key": 1}, build)
    assert [path.name for path in (root / "thing").iterdir()] == [".lock"]


def test_what_a_killed_build_left_is_removed_by_the_next(root: Path) -> None:
    (root / "thing" / "abc.partial").mkdir(parents=True)
    make(1)
    assert not (root / "thing" / "abc.partial").exists()


def test_the_two_newest_entries_are_kept() -> None:
    entries = [make(number) for number in (1, 2, 3)]
    assert [path.exists() for path in entries] == [False, True, True]


def test_an_entry_in_use_is_not_pruned() -> None:
    first = make(1)
    held = cache.hold(first)
    try:
        make(2)
        make(3)
        assert first.exists()
    finally:
        os.close(held)
    make(4)
    assert not first.exists()

# SPDX-License-Identifier: Apache-2.0
"""Sets of pins, in an ordinary directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.pins import PinDirectory


def _fill(directory: Path) -> None:
    (directory / "map_x").touch()


def _die(directory: Path) -> None:
    _fill(directory)
    raise KeyboardInterrupt


def test_set_appears_whole(tmp_path: Path) -> None:
    pins = PinDirectory(tmp_path / "varmor")
    assert not pins.complete("aaa")
    pins.make("aaa", _fill)
    assert pins.complete("aaa")
    assert [path.name for path in pins.root.iterdir()] == ["aaa"]
    assert (pins.of("aaa") / "map_x").exists()


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    pins = PinDirectory(tmp_path / "varmor")
    with pytest.raises(KeyboardInterrupt):
        pins.make("aaa", _die)
    assert list(pins.root.iterdir()) == []


def test_unfinished_set_of_a_dead_maker(tmp_path: Path) -> None:
    pins = PinDirectory(tmp_path / "varmor")
    pins.make("old", _fill)
    unfinished = pins.root / "aaa-new"
    unfinished.mkdir()
    _fill(unfinished)
    assert pins.others("aaa") == [pins.of("old")]
    pins.discard_unfinished()
    assert not unfinished.exists()
    assert pins.complete("old")


def test_unfinished_set_is_replaced(tmp_path: Path) -> None:
    pins = PinDirectory(tmp_path / "varmor")
    unfinished = pins.root / "aaa-new"
    unfinished.mkdir(parents=True)
    (unfinished / "map_old").touch()
    pins.make("aaa", _fill)
    assert [path.name for path in pins.of("aaa").iterdir()] == ["map_x"]


def test_discard_all(tmp_path: Path) -> None:
    pins = PinDirectory(tmp_path / "varmor")
    pins.discard_all()
    pins.make("aaa", _fill)
    pins.make("bbb", _fill)
    pins.discard_all()
    assert not pins.root.exists()


def test_no_file_system_to_pin_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BpfError, match="is bpffs mounted"):
        PinDirectory(tmp_path / "file" / "varmor").make("aaa", _fill)

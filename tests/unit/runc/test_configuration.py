# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from varmor.runc.configuration import ConfigurationError, Rewritten, confined


def test_both_are_put_in_their_places() -> None:
    config = {"process": {"args": ["x"], "apparmorProfile": "docker-default"}, "linux": {"cgroupsPath": "/x"}, "a": 1}
    changed = confined(config, "varmor-a", {"defaultAction": "x"})
    assert changed["process"] == {"args": ["x"], "apparmorProfile": "varmor-a"}
    assert changed["linux"] == {"cgroupsPath": "/x", "seccomp": {"defaultAction": "x"}}
    assert changed["a"] == 1
    assert config["process"]["apparmorProfile"] == "docker-default"  # type: ignore[index]


def test_none_leaves_what_is_there() -> None:
    config = {"process": {"apparmorProfile": "x"}, "linux": {"seccomp": {"y": 1}}}
    assert confined(config, None, None) == config


def test_missing_parts_are_made() -> None:
    assert confined({}, "varmor-a", {"x": 1}) == {
        "process": {"apparmorProfile": "varmor-a"},
        "linux": {"seccomp": {"x": 1}},
    }


def test_a_file_says_something_else_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{ "a":  1 }')
    path.chmod(0o640)
    file = Rewritten(str(path))
    file.write({**file.original, "b": 2})
    assert json.loads(path.read_text()) == {"a": 1, "b": 2}
    assert path.stat().st_mode & 0o777 == 0o640
    file.restore()
    assert path.read_text() == '{ "a":  1 }'
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


def test_a_bundle_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    file = Rewritten(str(path))
    path.unlink()
    file.restore()
    assert not path.exists()


@pytest.mark.parametrize(("text", "words"), [("{", "not JSON"), ("[]", "expected an object, found list")])
def test_broken_files(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        _ = Rewritten(str(tmp_path / "c")).original
    with pytest.raises(ConfigurationError, match="No such file"):
        Rewritten(str(tmp_path / "none"))

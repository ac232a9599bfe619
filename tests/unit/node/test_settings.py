# SPDX-License-Identifier: Apache-2.0
"""Settings: defaults, values, and one clear error for each wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from varmor.node.settings import FailMode, SettingsError, load


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "varmord.yaml"
    path.write_text(text)
    return path


def test_missing_file_means_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path / "absent.yaml")
    assert settings.fail is FailMode.OPEN
    assert settings.node_name


def test_values_are_read(tmp_path: Path) -> None:
    settings = load(
        write(tmp_path, "fail: closed\nnode_name: n7\nstate: /srv/varmor\nresync_seconds: 5\nmetadata: {cluster: a}\n")
    )
    assert settings.fail is FailMode.CLOSED
    assert settings.node_name == "n7"
    assert settings.database == Path("/srv/varmor/state.db")
    assert settings.resync_seconds == 5.0
    assert settings.metadata == (("cluster", "a"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fial: open\n", ["unknown setting 'fial'", "fail"]),
        ("fail: maybe\n", ["fail is 'maybe'", "`open` or `closed`"]),
        ("state: relative/path\n", ["state is 'relative/path'", "an absolute path"]),
        ("resync_seconds: soon\n", ["resync_seconds is 'soon'", "seconds"]),
        ("resync_seconds: 0\n", ["resync_seconds is 0"]),
        ("resync_seconds: true\n", ["resync_seconds is True"]),
        ("node_name: [a]\n", ["node_name is ['a']", "a string"]),
        ("metadata: x\n", ["metadata is 'x'", "a mapping"]),
        ("- a\n", ["expected settings as `key: value`", "list"]),
        ("a: [\n", ["not YAML"]),
    ],
)
def test_wrong_settings_name_the_key_and_what_was_expected(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


def test_unreadable_file_keeps_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path)

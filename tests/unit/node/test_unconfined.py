# SPDX-License-Identifier: Apache-2.0
"""Notes of the wrapper are said once and removed, readable or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from varmor.node.unconfined import UnconfinedStarts


def test_notes_are_logged_counted_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    note = {"id": "web", "bundle": "/run/b", "reason": "varmord did not answer"}
    (tmp_path / "web.json").write_text(json.dumps(note))
    (tmp_path / "bad.json").write_text("{")
    starts = UnconfinedStarts(tmp_path)
    starts.collect()
    assert "web from /run/b: varmord did not answer" in caplog.text
    assert "bad.json (the note cannot be read" in caplog.text
    assert (starts.count, list(tmp_path.iterdir())) == (2, [])


def test_no_directory_is_no_news(tmp_path: Path) -> None:
    starts = UnconfinedStarts(tmp_path / "absent")
    starts.collect()
    assert starts.count == 0

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from scripts import crds


def test_the_files_are_what_the_schema_says() -> None:
    wanted = crds.files()
    assert sorted(wanted) == sorted(crds.FOLDER.iterdir())
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `python -m scripts.crds`"

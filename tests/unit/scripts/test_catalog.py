# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from scripts import catalog
from varmor.catalog import source
from varmor.catalog.loader import DATA, load

HINT = "run `python -m scripts.catalog`"


def test_the_json_is_what_the_files_say() -> None:
    assert DATA.read_text(encoding="utf-8") == source.data(), HINT


def test_the_page_is_what_the_files_say() -> None:
    assert catalog.PAGE.read_text(encoding="utf-8") == catalog.page(), HINT


def test_the_page_has_every_rule() -> None:
    page = catalog.page()
    assert sorted(re.findall(r"^### (.*)$", page, re.MULTILINE)) == [rule.name for rule in load().rules]
    assert set(re.findall(r"\(#([^)]*)\)", page)) == {rule.name for rule in load().rules}

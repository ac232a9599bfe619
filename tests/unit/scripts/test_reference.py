# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from scripts import reference


def test_the_page_is_what_the_schema_says() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run `python -m scripts.reference`"


def test_links_lead_to_headings() -> None:
    page = reference.page()
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\(#([^)]*)\)", page)) <= headings


def test_each_field_has_a_meaning() -> None:
    rows = [line for line in reference.page().splitlines() if line.startswith("| ")]
    assert len(rows) > 200
    assert [row for row in rows if row.endswith("|  |")] == []

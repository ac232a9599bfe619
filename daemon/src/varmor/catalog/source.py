# SPDX-License-Identifier: Apache-2.0
"""The data files in which the built-in rules are written, for those who change them.

``python -m scripts.catalog`` makes ``rules.json`` of them; a test compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from varmor.catalog.loader import CatalogError

FOLDER = Path(__file__).with_name("rules")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def entries(text: str, source: str) -> list[dict[str, Any]]:
    """The entries of one data file.

    Raises:
        CatalogError: it is not a list in YAML.
    """
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the loader is a safe one
    except yaml.YAMLError as error:
        raise CatalogError(f"catalog: {source}: not YAML: {error}") from error
    if not isinstance(found, list):
        raise CatalogError(f"catalog: {source}: expected a list of rules")
    return found


def files() -> dict[str, list[dict[str, Any]]]:
    """The entries of all data files by the file's name without ending, in its order.

    Raises:
        CatalogError: a file is not a list in YAML.
    """
    return {file.stem: entries(file.read_text(encoding="utf-8"), file.name) for file in sorted(FOLDER.glob("*.yaml"))}


def data() -> str:
    """The text of ``rules.json``: a rule on each line, so that a change is one line.

    Raises:
        CatalogError: a file is not a list in YAML.
    """
    lines = [json.dumps(entry, ensure_ascii=False) for group in files().values() for entry in group]
    return "[\n" + ",\n".join(lines) + "\n]\n"

# SPDX-License-Identifier: Apache-2.0
"""Bundles and other JSON files for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def put_json(path: Path, value: object) -> Path:
    """Write a JSON file with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def put_bundle(path: Path, annotations: dict[str, str] | None = None, **more: Any) -> Path:
    """Make a bundle."""
    put_json(path / "config.json", {"annotations": annotations or {}, **more})
    return path

# SPDX-License-Identifier: Apache-2.0
"""The role's interface: its specification, its defaults and its README say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from scripts.collection import ROOT

ROLE = ROOT / "roles" / "node"


def load(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text())


def options() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


def test_defaults_are_those_that_are_documented() -> None:
    assert load("defaults/main.yml") == {name: option["default"] for name, option in options().items()}


def test_every_option_is_described() -> None:
    for name, option in options().items():
        assert name.startswith("node_")
        assert option["type"]
        assert option["description"], name


def test_every_variable_that_is_used_is_declared() -> None:
    declared = {*options(), *load("vars/main.yml"), "node_status"}
    for path in [*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml"), *ROLE.glob("templates/*")]:
        declared |= declared_in(path)
    for path in [*ROLE.glob("tasks/*.yml"), *ROLE.glob("templates/*"), *ROLE.glob("vars/*.yml")]:
        used = set(re.findall(r"\b(?:__)?node_(?!preflight|install\b|configure\b|run\b|info\b)\w+", path.read_text()))
        assert used - declared == set(), path


def declared_in(path: Path) -> set[str]:
    return set(re.findall(r"^\s+(?:register: )?((?:__)?node_\w+)(?::|$)", path.read_text(), re.MULTILINE))


def test_the_readme_names_every_option() -> None:
    readme = (ROLE / "README.md").read_text()
    assert [name for name in options() if f"`{name}`" not in readme] == []

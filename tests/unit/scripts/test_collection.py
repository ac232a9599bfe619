# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import varmor
from scripts import collection
from scripts.collection import ROOT


def test_the_version_is_the_same_everywhere() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert galaxy["version"] == varmor.__version__
    assert (galaxy["namespace"], galaxy["name"]) == (collection.NAMESPACE, collection.NAME)


def test_tree_is_the_checkout_and_is_made_anew_when_it_points_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "CACHE", tmp_path)
    link = tmp_path / "ansible_collections" / "varmor" / "fleet"
    link.parent.mkdir(parents=True)
    link.symlink_to("elsewhere")
    assert collection.tree() == tmp_path
    assert link.resolve() == ROOT
    assert collection.tree() == tmp_path


def test_every_module_is_in_the_action_group() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())
    assert set(runtime["action_groups"]["node"]) == modules


def test_every_plugin_has_its_test() -> None:
    for path in (ROOT / "plugins").glob("*/*.py"):
        if path.parent.name != "doc_fragments":
            test = ROOT / "tests" / "unit" / "plugins" / path.parent.name / f"test_{path.name}"
            assert test.is_file(), f"{path} has no {test}"

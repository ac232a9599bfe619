# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import yaml

from scripts import dist
from scripts.collection import ROOT


def test_dependencies_are_names_without_versions() -> None:
    assert {"python3", "python3-yaml", "libbpf1"} <= set(dist.dependencies())
    assert not any(" " in name or "(" in name for name in dist.dependencies())


def test_role_and_build_know_the_same_releases() -> None:
    variables = yaml.safe_load((ROOT / "roles/node/vars/main.yml").read_text())
    assert tuple(variables["__node_suites"]) == dist.SUITES
    assert set(variables["__node_architectures"].values()) == {dist.ARCHITECTURE}


def test_an_unknown_release_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        dist.main(["--suite", "jessie"])
    assert "invalid choice: 'jessie'" in capsys.readouterr().err

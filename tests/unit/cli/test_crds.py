# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
import yaml

from varmor.cli.main import main
from varmor.policy.crd import definitions


def test_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == definitions()


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == "List"
    assert printed["items"] == definitions()

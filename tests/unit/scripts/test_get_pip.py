# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from typing import Any

import pytest

from scripts import get_pip


def test_pip_first_then_the_requirements_without_foreign_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def record(argv: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(argv[1:])
        return subprocess.CompletedProcess(argv, 3)

    monkeypatch.setattr(subprocess, "run", record)
    assert get_pip.main(["--disable-pip-version-check", "--no-wheel", "pip==24.2"]) == 3
    assert calls == [
        ["-m", "ensurepip"],
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip==24.2"],
    ]

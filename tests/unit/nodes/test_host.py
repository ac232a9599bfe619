# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tests.nodes import host


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host, "missing_packages", list)
    monkeypatch.setattr(host, "DEBIAN_MARK", Path(__file__))


def test_a_machine_with_everything_can_run_nodes() -> None:
    assert host.runnable() is None


def test_each_hindrance_has_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "missing_packages", lambda: ["mmdebstrap", "qemu-utils"])
    assert host.runnable() == "packages are missing: mmdebstrap qemu-utils; run `python -m tests.nodes setup`"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "as root" in str(host.runnable())
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "aarch64" in str(host.runnable())


def test_nothing_is_installed_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> str:
        raise AssertionError("apt was called")

    monkeypatch.setattr(host, "run", refuse)
    host.setup()

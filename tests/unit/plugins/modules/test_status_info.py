# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugins.conftest import RunModule, ScriptedDaemon

STATUS = {
    "node": {"name": "n1", "version": "0.1.0", "kernel": "6.1", "started": "2025-11-22T05:40:11Z"},
    "enforcers": {"BPF": {"ok": True, "reason": ""}},
    "policies": [],
    "violations": {"recorded": 0, "lost": 0},
}


@pytest.mark.parametrize("check", [False, True])
def test_returns_the_daemons_status(daemon: ScriptedDaemon, run_module: RunModule, check: bool) -> None:
    daemon.answer("ping", version="0.1.0")
    daemon.answer("status", **STATUS)
    result = run_module("status_info", check=check, socket=daemon.path)
    assert not result["changed"]
    assert {key: result[key] for key in STATUS} == STATUS
    assert daemon.operations() == ["ping", "status"]


def test_a_node_without_daemon(tmp_path: Path, run_module: RunModule) -> None:
    result = run_module("status_info", socket=str(tmp_path / "none.sock"), timeout=0)
    assert result["failed"]
    assert "varmord is not running on this node" in result["msg"]
    assert result["failure"]["kind"] == "unreachable"

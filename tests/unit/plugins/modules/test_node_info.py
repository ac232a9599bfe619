# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform

from tests.unit.plugins.conftest import RunModule


def test_reports_this_machine(run_module: RunModule) -> None:
    result = run_module("node_info")
    assert not result["changed"]
    assert result["kernel"] == platform.release()
    assert set(result["enforcers"]) == {"AppArmor", "BPF", "Seccomp"}

# SPDX-License-Identifier: Apache-2.0
"""While the daemon is away: `open` starts containers and says so loudly, `closed` refuses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.protected import Protected, policy

RULES: dict[str, Any] = {"attackProtectionRules": [{"rules": ["disable-write-etc"]}]}


@pytest.fixture
def away(protected: Protected) -> Iterator[Protected]:
    protected.write(policy("web", {"kind": "Container", "name": "web"}, **RULES))
    protected.node.run("systemctl stop varmord")
    yield protected
    protected.node.run("cp /root/runc.json /etc/varmor/runc.json 2>/dev/null; systemctl start varmord", check=False)


def set_fail(protected: Protected, value: str) -> None:
    protected.node.run("cp /etc/varmor/runc.json /root/runc.json")
    settings = {**json.loads(protected.node.get_text("/etc/varmor/runc.json")), "fail": value}
    protected.node.put_text(json.dumps(settings), "/etc/varmor/runc.json")


def test_closed_refuses_with_a_clear_reason(away: Protected) -> None:
    set_fail(away, "closed")
    done = away.node.run("ctr run --rm localhost/busybox:1 web id </dev/null", check=False)
    assert done.returncode != 0
    assert "varmor" in done.stderr
    assert "closed" in done.stderr
    away.node.run("ctr container delete web", check=False)


def test_open_starts_it_writes_it_down_and_binds_it_when_the_daemon_is_back(away: Protected) -> None:
    set_fail(away, "open")
    away.start("web", "sh", "-c", "while :; do echo x > /etc/evil; sleep 0.2; done")
    away.node.wait_until("journalctl --no-pager -p err | grep -q varmor-runc")
    away.node.run("systemctl start varmord")
    assert away.wait_for_violation(enforcer="BPF", action="DENIED", containerName="web")
    (workload,) = away.state("web")["workloads"]
    assert workload["enforcers"]["AppArmor"] == "needs-restart"

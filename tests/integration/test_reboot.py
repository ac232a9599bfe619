# SPDX-License-Identifier: Apache-2.0
"""After a power loss the node is armed again before its workloads start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.control import converged
from tests.integration.protected import policy
from tests.nodes import Node


@pytest.fixture
def protected_unit(node: Node) -> Node:
    unit = "[Service]\nExecStart=/bin/sh -c 'touch /etc/evil; echo tried; sleep 1000'\n"
    unit += "[Install]\nWantedBy=multi-user.target\n"
    node.put_text(unit, "/etc/systemd/system/test-app.service")
    node.run("systemctl daemon-reload; systemctl enable test-app.service")
    rules: dict[str, Any] = {"attackProtectionRules": [{"rules": ["disable-write-etc"]}]}
    converged(node, node_policies=[policy("app", {"kind": "Unit", "name": "test-app.service"}, "AppArmorBPF", **rules)])
    node.run("sync")
    return node


def test_a_power_loss_does_not_disarm_a_unit(protected_unit: Node) -> None:
    node = protected_unit
    node.kill_power()
    node.boot()
    node.wait_until("varmor status", timeout=90)
    node.wait_until("journalctl -b -u test-app -o cat --no-pager | grep -q tried")
    assert node.run("test -e /etc/evil", check=False).returncode != 0
    label = node.run("cat /proc/$(systemctl show -p MainPID --value test-app)/attr/current").stdout
    assert label.startswith("varmor-default-app (enforce)")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

from tests.unit.node.violation_examples import UNIT, violation
from varmor.node.violation_record import Action, Attribution

UPSTREAM = {
    "level", "metadata", "nodeName", "podUID", "podName", "podNamespace", "containerID", "containerName", "image",
    "pid", "mntNsID", "eventTimestamp", "enforcer", "action", "profileName", "policyKind", "policyName",
    "policyNamespace", "event", "time", "message",
}  # fmt: skip


def test_all_fields_of_upstream() -> None:
    line = json.loads(violation(metadata={"cluster": "a"}).line("node-1", 1700000001.5))
    assert line.keys() >= UPSTREAM
    assert (line["level"], line["message"]) == ("warn", "violation event")
    assert (line["nodeName"], line["metadata"]) == ("node-1", {"cluster": "a"})
    assert (line["podName"], line["podNamespace"], line["podUID"]) == ("web-0", "shop", "u-1")
    assert (line["containerID"], line["containerName"], line["image"]) == ("c0ffee", "web", "nginx:1")
    assert (line["pid"], line["mntNsID"], line["eventTimestamp"]) == (12, 77, 1700000000)
    assert (line["enforcer"], line["action"]) == ("BPF", "DENIED")
    assert (line["policyKind"], line["policyNamespace"], line["policyName"]) == ("VarmorPolicy", "default", "web")
    assert line["time"] == "2023-11-14T22:13:21.500Z"
    assert line["event"]["path"] == "/etc/x"
    assert "count" not in line


def test_units_have_their_own_field() -> None:
    line = violation(workload=UNIT).as_json("n", 0)
    assert (line["workloadKind"], line["unit"], line["containerID"]) == ("Unit", "nginx.service", "")


def test_an_unknown_workload_is_said() -> None:
    line = violation(workload=None, attribution=Attribution.PROFILE).as_json("n", 0)
    assert (line["containerID"], line["workloadKind"], line["attribution"]) == ("", "", "profile")


def test_folded_ones_carry_their_count() -> None:
    line = violation(count=7, folded="identical violations").as_json("n", 0)
    assert (line["count"], line["folded"]) == (7, "identical violations")


def test_one_line_whatever_is_in_it() -> None:
    assert "\n" not in violation(event={"path": "/a\nb\u2028\udc80"}).line("n", 0)


def test_the_sentence() -> None:
    assert violation().sentence() == (
        "DENIED by BPF: container web: write /etc/x (sh[12], policy VarmorPolicy default/web)"
    )
    text = violation(action=Action.AUDIT, workload=None, policy=None, count=3, folded="x").sentence()
    assert text == "AUDIT by BPF: varmor-default-web: write /etc/x (sh[12], 3 times (x))"

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

from tests.unit.plugins.conftest import RunModule, ScriptedDaemon

KEY = {"kind": "VarmorPolicy", "namespace": "default", "name": "web"}
MANIFEST: dict[str, Any] = {"kind": "VarmorPolicy", "metadata": {"name": "web"}, "spec": {}}
REVISION = {"number": 3, "digest": "5f1c0a"}

CONDITIONS = [
    {"type": "Accepted", "status": "True", "reason": "Valid", "message": "the manifest is valid"},
    {"type": "Active", "status": "False", "reason": "LoadFailed", "message": "parser said no"},
]


def plan(daemon: ScriptedDaemon, changed: bool, **more: Any) -> None:
    reply = {"changed": changed, "before": "old\n", "after": "new\n", "policy": KEY, "warnings": [], **more}
    daemon.answer("policy.plan", **reply)


def put(daemon: ScriptedDaemon, changed: bool, ready: bool = True, **more: Any) -> None:
    daemon.answer(
        "policy.put", changed=changed, policy=KEY, revision=REVISION, ready=ready, **{"conditions": [], **more}
    )


@pytest.mark.parametrize("changed", [True, False])
def test_present(daemon: ScriptedDaemon, run_module: RunModule, changed: bool) -> None:
    plan(daemon, changed)
    put(daemon, changed)
    result = run_module("policy", definition=MANIFEST, socket=daemon.path)
    assert result["changed"] is changed
    assert result["policy"] == KEY
    assert result["revision"] == REVISION
    assert result["ready"] is True
    assert daemon.requests == [
        {"op": "policy.plan", "state": "present", "manifest": MANIFEST},
        {"op": "policy.put", "wait": 60, "manifest": MANIFEST},
    ]


def test_text_is_handed_over_as_it_is(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, True)
    put(daemon, True)
    run_module("policy", text="kind: VarmorPolicy # mine\n", wait_timeout=7, socket=daemon.path)
    assert daemon.requests[1] == {"op": "policy.put", "wait": 7, "text": "kind: VarmorPolicy # mine\n"}


@pytest.mark.parametrize("params", [{"definition": MANIFEST}, {"state": "absent", "name": "web"}])
def test_check_mode_only_plans(daemon: ScriptedDaemon, run_module: RunModule, params: dict[str, Any]) -> None:
    plan(daemon, True)
    result = run_module("policy", check=True, socket=daemon.path, **params)
    assert result["changed"] is True
    assert daemon.operations() == ["policy.plan"]


def test_the_difference_names_the_policy(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, True)
    result = run_module("policy", check=True, definition=MANIFEST, socket=daemon.path)
    assert result["diff"] == {
        "before": "old\n",
        "after": "new\n",
        "before_header": "VarmorPolicy/default/web (on the node)",
        "after_header": "VarmorPolicy/default/web (wanted)",
    }


def test_warnings_reach_the_user(
    daemon: ScriptedDaemon, run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    # Where Ansible's controller is loaded in the same process, warnings go to its display instead of the result.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text: said.append(text))
    plan(daemon, False, warnings=["seccomp has no such rule"])
    run_module("policy", check=True, definition=MANIFEST, socket=daemon.path)
    assert said == ["VarmorPolicy default/web: seccomp has no such rule"]


def test_a_refused_policy_is_not_put(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    daemon.refuse(
        "policy.plan", kind="policy", message="unknown rule x", subject="VarmorPolicy default/web", field="spec"
    )
    result = run_module("policy", definition=MANIFEST, socket=daemon.path)
    assert result["failed"]
    assert result["msg"] == "unknown rule x"
    assert result["failure"]["field"] == "spec"
    assert daemon.operations() == ["policy.plan"]


def test_not_active_in_time_is_a_failure_with_the_reason(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, True)
    put(daemon, True, ready=False, conditions=CONDITIONS)
    result = run_module("policy", definition=MANIFEST, wait_timeout=2, socket=daemon.path)
    assert result["failed"]
    assert result["msg"] == "VarmorPolicy default/web was written but is not active: parser said no"


def test_without_wait_not_being_ready_is_no_failure(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, True)
    put(daemon, True, ready=False)
    result = run_module("policy", definition=MANIFEST, wait=False, socket=daemon.path)
    assert not result.get("failed")
    assert result["ready"] is False
    assert daemon.requests[1]["wait"] == 0


def test_absent(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, True)
    daemon.answer("policy.delete", changed=True)
    result = run_module("policy", state="absent", name="web", socket=daemon.path)
    assert result["changed"] is True
    assert daemon.requests == [
        {"op": "policy.plan", "state": "absent", **KEY},
        {"op": "policy.delete", "wait": 60, **KEY},
    ]


def test_absent_a_second_time(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, False)
    assert run_module("policy", state="absent", name="web", socket=daemon.path)["changed"] is False
    assert daemon.operations() == ["policy.plan"]


def test_a_cluster_policy_has_no_namespace(daemon: ScriptedDaemon, run_module: RunModule) -> None:
    plan(daemon, False)
    run_module("policy", state="absent", kind="VarmorClusterPolicy", name="web", socket=daemon.path)
    assert daemon.requests[0]["namespace"] == ""


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "any of the following are missing: definition, text"),
        ({"state": "absent"}, "any of the following are missing: definition, text, name"),
        ({"definition": {}, "text": ""}, "mutually exclusive"),
    ],
)
def test_wrong_options(daemon: ScriptedDaemon, run_module: RunModule, params: dict[str, Any], said: str) -> None:
    result = run_module("policy", socket=daemon.path, **params)
    assert result["failed"]
    assert said in result["msg"]
    assert daemon.requests == []

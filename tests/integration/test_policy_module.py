# SPDX-License-Identifier: Apache-2.0
"""varmor.fleet.policy on a real node: changes, check mode, difference, and one clear error for bad input."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.integration.control import module
from tests.integration.protected import Protected, policy

GOOD = policy("web", {"kind": "Container", "name": "web"}, hardeningRules=["disallow-mount"])


def test_present_is_active_when_the_module_returns_and_the_second_run_changes_nothing(protected: Protected) -> None:
    first = module(protected.node, "policy", definition=GOOD)
    assert (first["changed"], first["ready"], first["revision"]["number"]) == (True, True, 1)
    assert (
        "varmor-default-web (enforce)"
        in protected.node.run("cat /sys/kernel/security/apparmor/profiles").stdout.splitlines()
    )
    again = module(protected.node, "policy", definition=GOOD)
    assert (again["changed"], again["revision"]["number"]) == (False, 1)


def test_check_mode_predicts_and_writes_nothing(protected: Protected) -> None:
    planned = module(protected.node, "policy", "--check", "--diff", definition=GOOD)
    assert planned["changed"]
    assert protected.status()["policies"] == []


def test_absent_takes_it_away(protected: Protected) -> None:
    module(protected.node, "policy", definition=GOOD)
    gone = module(protected.node, "policy", state="absent", name="web")
    assert gone["changed"]
    assert protected.status()["policies"] == []
    assert "varmor-" not in protected.node.run("cat /sys/kernel/security/apparmor/profiles").stdout
    assert not module(protected.node, "policy", state="absent", name="web")["changed"]


def bad(**changes: Any) -> dict[str, Any]:
    return policy("web", changes.pop("target", {"kind": "Container", "name": "web"}), **changes)


BAD_INPUT = [
    pytest.param(bad(hardeningRules=["disallow-mounts"]), ["disallow-mounts", "disallow-mount"], id="unknown rule"),
    pytest.param(bad(auditViolations="yes please"), ["auditViolations", "yes please"], id="wrong type"),
    pytest.param(bad(target={"kind": "Unit", "name": "nginx"}), ["spec.target.name", "nginx"], id="impossible target"),
    pytest.param(
        bad(appArmorRawRules=[{"rules": "deny /etc/shadow rwx_nonsense,"}]),
        ["AppArmor parser error", "rwx_nonsense"],
        id="broken AppArmor rule",
    ),
]


@pytest.mark.parametrize(("manifest", "words"), BAD_INPUT)
def test_bad_input_is_one_clear_error_and_the_active_revision_stays(
    protected: Protected, manifest: dict[str, Any], words: list[str]
) -> None:
    protected.write(GOOD, file="default.web.yaml")
    failed = module(protected.node, "policy", definition=manifest)
    assert failed["failed"]
    for word in words:
        assert word in failed["msg"]
    assert "Traceback" not in failed["msg"]
    protected.node.put_text(yaml.safe_dump(manifest), "/etc/varmor/policies.d/default.web.yaml")
    said = protected.reload()
    assert said.returncode == 2
    validated = protected.node.run("varmor validate /etc/varmor/policies.d/default.web.yaml", check=False)
    state = protected.state("web")
    refusal = " ".join(condition["message"] for condition in state["conditions"])
    for word in words:
        assert word in said.stderr
        assert word in validated.stderr
        assert word in refusal
    assert (validated.returncode, len(validated.stderr.splitlines())) == (2, 1)
    assert state["revision"]["number"] == 1
    assert "varmor-default-web (enforce)" in protected.node.run("cat /sys/kernel/security/apparmor/profiles").stdout

# SPDX-License-Identifier: Apache-2.0
"""systemd units: armed at every start, also without the daemon; BPF at once when they run."""

from __future__ import annotations

from typing import Any

from tests.integration.protected import Protected, policy

TARGET = {"kind": "Unit", "name": "test-app.service"}
RULES: dict[str, Any] = {
    "attackProtectionRules": [{"rules": ["disable-write-etc"]}],
    "hardeningRules": ["disallow-create-user-ns"],
}


def install(protected: Protected, script: str) -> None:
    unit = f"[Service]\nExecStart=/bin/sh -c '{script}'\n"
    protected.node.put_text(unit, "/etc/systemd/system/test-app.service")
    protected.node.run("systemctl daemon-reload")


def test_a_unit_is_confined_from_its_first_process(protected: Protected) -> None:
    install(protected, "cat /proc/self/attr/current; touch /etc/evil; unshare -U true; touch /tmp/fine; sleep 1000")
    protected.write(policy("app", TARGET, **RULES))
    protected.node.run("systemctl start test-app.service")
    protected.node.wait_until("test -e /tmp/fine")
    log = protected.node.run("journalctl -u test-app -o cat --no-pager").stdout
    assert "varmor-default-app (enforce)" in log
    assert "touch: cannot touch '/etc/evil': Permission denied" in log
    assert "unshare" in log
    assert protected.node.run("test -e /etc/evil", check=False).returncode != 0
    record = protected.wait_for_violation(enforcer="AppArmor", action="DENIED", unit="test-app.service")
    assert record["policyName"] == "app"
    (workload,) = protected.state("app")["workloads"]
    assert set(workload["enforcers"].values()) == {"enforced"}


def test_a_running_unit_gets_bpf_at_once_and_the_rest_at_its_next_start(protected: Protected) -> None:
    install(protected, "while :; do touch /etc/evil; sleep 0.2; done")
    protected.node.run("systemctl start test-app.service; rm -f /etc/evil")
    protected.write(policy("app", TARGET, **RULES))
    record = protected.wait_for_violation(enforcer="BPF", action="DENIED", unit="test-app.service")
    assert record["event"]["path"] == "/etc/evil"
    (workload,) = protected.state("app")["workloads"]
    assert workload["enforcers"] == {"AppArmor": "needs-restart", "BPF": "enforced", "Seccomp": "needs-restart"}
    protected.node.run("systemctl restart test-app.service")
    (workload,) = protected.state("app")["workloads"]
    assert set(workload["enforcers"].values()) == {"enforced"}


def test_a_unit_started_while_the_daemon_is_dead_is_bound_by_the_kernel(protected: Protected) -> None:
    install(protected, "touch /etc/evil; echo tried; sleep 1000")
    protected.write(policy("app", TARGET, "BPF", attackProtectionRules=RULES["attackProtectionRules"]))
    protected.node.run("rm -f /etc/evil; systemctl stop varmord")
    try:
        protected.node.run("systemctl start test-app.service --job-mode=ignore-dependencies")
        protected.node.wait_until("journalctl -u test-app -o cat --no-pager | grep -q tried")
        assert protected.node.run("test -e /etc/evil", check=False).returncode != 0
        assert protected.node.run("systemctl is-active varmord", check=False).stdout.strip() == "inactive"
    finally:
        protected.node.run("systemctl start varmord")


def test_a_deleted_policy_leaves_no_drop_in(protected: Protected) -> None:
    install(protected, "sleep 1000")
    protected.write(policy("app", TARGET, **RULES))
    assert protected.node.run("ls /etc/systemd/system/test-app.service.d").stdout.strip() == "50-varmor.conf"
    protected.clear()
    assert protected.node.run("ls /etc/systemd/system/test-app.service.d", check=False).returncode != 0


def test_the_daemon_sees_all_that_makes_the_bpf_enforcer_fast(protected: Protected) -> None:
    log = protected.node.run("journalctl -b -u varmord -o cat --no-pager").stdout
    assert log
    assert "slower than it could be" not in log

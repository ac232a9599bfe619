# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon: the old or the new policy stays in force, whole in each enforcer, never nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.protected import Protected, policy

WEB = {"kind": "Container", "name": "web"}
OLD = policy("web", WEB, attackProtectionRules=[{"rules": ["disable-write-etc"]}])
NEW = policy(
    "web",
    WEB,
    attackProtectionRules=[{"rules": ["disable-write-etc", "mitigate-sa-leak"]}],
    hardeningRules=["disable-cap-net-raw"],
)
SECRET = "/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105


@pytest.fixture
def mortal(protected: Protected) -> Iterator[Protected]:
    """The daemon replaced by one that kills itself at a chosen step."""
    node = protected.node
    node.put(Path(__file__).with_name("killed_varmord.py"), "/opt/killed_varmord.py")
    node.put_text(
        "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I /opt/killed_varmord.py\nRestartSec=100ms\n",
        "/run/systemd/system/varmord.service.d/mortal.conf",
    )
    node.run("mkdir -p /run/varmor-test; systemctl daemon-reload; systemctl restart varmord", timeout=90)
    yield protected
    node.run("rm -rf /run/systemd/system/varmord.service.d /run/varmor-test")
    node.run("systemctl daemon-reload; systemctl restart varmord", timeout=90)


@pytest.mark.parametrize("step", ["stage", "apply AppArmor", "apply Seccomp", "apply BPF", "activate"])
def test_killed_at_a_step_the_container_stays_confined_and_the_restart_finishes(mortal: Protected, step: str) -> None:
    mortal.write(OLD)
    mortal.start("web", "sh", "-c", f"mkdir -p {Path(SECRET).parent}; echo secret > {SECRET}; sleep 1000")
    mortal.node.wait_until("ctr task exec --exec-id ready web ls /run/secrets </dev/null")
    mortal.node.put_text(step, "/run/varmor-test/kill-at")
    mortal.node.put_text(yaml.safe_dump(NEW), "/etc/varmor/policies.d/test.yaml")
    mortal.node.wait_until("test -e /run/varmor-test/killed", timeout=60)
    assert mortal.execute("web", "touch", "/etc/evil").returncode != 0, "denied by the old and by the new policy"
    mortal.node.wait_until("varmor status", timeout=60)
    mortal.node.run("rm /run/varmor-test/killed")
    state = mortal.state("web")
    assert (state["ready"], state["revision"]["number"] > 1) == (True, True)
    assert mortal.execute("web", "touch", "/etc/evil").returncode != 0
    assert mortal.execute("web", "cat", SECRET).returncode != 0


def test_bpf_goes_on_while_the_daemon_is_down_and_nothing_is_lost_at_its_return(protected: Protected) -> None:
    protected.write(policy("web", WEB, "BPF", attackProtectionRules=[{"rules": ["disable-write-etc"]}]))
    protected.start("web")
    protected.node.run("systemctl kill --signal KILL varmord; systemctl stop varmord")
    try:
        assert protected.execute("web", "touch", "/etc/evil").returncode != 0
        assert protected.execute("web", "touch", "/tmp/fine").returncode == 0
    finally:
        protected.node.run("systemctl reset-failed varmord; systemctl start varmord")
    assert protected.execute("web", "touch", "/etc/evil").returncode != 0
    (workload,) = protected.state("web")["workloads"]
    assert workload["enforcers"]["BPF"] == "enforced"
    record = protected.wait_for_violation(enforcer="BPF", action="DENIED", containerName="web")
    assert record["event"]["path"] == "/etc/evil"


def test_killed_by_surprise_systemd_restarts_it_and_policies_stay(protected: Protected) -> None:
    protected.write(OLD)
    before = protected.node.run("systemctl show -p MainPID --value varmord").stdout
    protected.node.run("systemctl kill --signal KILL varmord")
    protected.node.wait_until(
        f'test "$(systemctl show -p MainPID --value varmord)" -gt 0 -a '
        f'"$(systemctl show -p MainPID --value varmord)" != {before.strip()} && varmor status'
    )
    assert protected.state("web")["ready"]

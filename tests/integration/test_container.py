# SPDX-License-Identifier: Apache-2.0
"""Containers: armed before their first instruction, confined by all three enforcers, neighbours left alone."""

from __future__ import annotations

from typing import Any

from tests.integration.protected import Protected, policy

WEB = {"kind": "Container", "name": "web*"}
RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disable-cap-net-raw", "disallow-create-user-ns"],
    "attackProtectionRules": [
        {"rules": ["disable-write-etc", "mitigate-sa-leak", "block-access-to-metadata-service"]},
    ],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
}


def test_the_entrypoint_itself_is_confined_by_all_three(protected: Protected) -> None:
    protected.write(policy("web", WEB, **RULES))
    script = (
        "cat /proc/self/attr/current; grep ^Seccomp: /proc/self/status; echo x > /etc/evil; wget -q 169.254.169.254"
    )
    done = protected.node.run(
        f"ctr run --rm --net-host localhost/busybox:1 web1 /bin/sh -c '{script}' </dev/null 2>&1",
        check=False,
    )
    assert "varmor-default-web (enforce)" in done.stdout
    assert "Seccomp:\t2" in done.stdout
    assert "Permission denied" in done.stdout, "AppArmor: writing below /etc"
    assert "Operation not permitted" in done.stdout, "BPF: connecting to the metadata service"
    denied = protected.wait_for_violation(enforcer="AppArmor", action="DENIED", containerName="web1", name="/etc/evil")
    assert denied["policyName"] == "web"
    assert denied["containerID"] == "web1"
    assert protected.wait_for_violation(enforcer="BPF", action="DENIED", containerName="web1")


def test_every_enforcer_stops_its_attack_and_lets_the_neighbour_work(protected: Protected) -> None:
    protected.write(policy("web", WEB, **RULES))
    protected.start("web1", options=("--privileged",))
    protected.start("other1", options=("--privileged",))
    attempts = {
        "AppArmor": "touch /etc/evil",
        "Seccomp": "unshare -U true",
        "mount": "mount -t tmpfs none /tmp",
        "read": "cat /etc/passwd",
        "write": "touch /var/fine",
        "pipe": "true | cat",
    }
    script = "; ".join(f"{words} >/dev/null 2>&1; echo {name} $?" for name, words in attempts.items())
    results = {}
    for container in ("web1", "other1"):
        lines = protected.execute(container, "sh", "-c", script).stdout.splitlines()
        results[container] = {name for name, _, code in (line.partition(" ") for line in lines) if code == "0"}
    assert results == {"web1": {"read", "write", "pipe"}, "other1": set(attempts)}


def test_policy_changes_reach_a_running_container(protected: Protected) -> None:
    protected.write(policy("web", WEB, hardeningRules=["disable-cap-net-raw"]))
    protected.start("web1")
    assert protected.execute("web1", "touch", "/etc/first").returncode == 0
    protected.write(policy("web", WEB, attackProtectionRules=[{"rules": ["disable-write-etc"]}]))
    assert protected.execute("web1", "touch", "/etc/second").returncode != 0
    assert protected.state("web")["revision"]["number"] == 2


def test_a_container_that_runs_already_gets_bpf_at_once_and_says_what_needs_a_restart(protected: Protected) -> None:
    protected.start("web1", "sh", "-c", "while :; do echo x > /etc/evil; sleep 0.2; done", wrapper=False)
    protected.node.wait_until("ctr task exec --exec-id probe web1 ls /etc/evil </dev/null; ls /proc/1 >/dev/null")
    protected.write(policy("web", WEB, attackProtectionRules=[{"rules": ["disable-write-etc"]}]))
    record = protected.wait_for_violation(enforcer="BPF", action="DENIED", containerName="web1")
    assert record["event"]["path"] == "/etc/evil"
    (workload,) = protected.state("web")["workloads"]
    assert workload["enforcers"] == {"AppArmor": "needs-restart", "BPF": "enforced", "Seccomp": "enforced"}


def test_a_late_comer_is_bound_at_its_exec(protected: Protected) -> None:
    rules: dict[str, Any] = {"attackProtectionRules": [{"rules": ["disable-shell", "disable-write-etc"]}]}
    protected.write(policy("web", WEB, "BPF", **rules))
    protected.start("web1")
    assert protected.execute("web1", "sh", "-c", "id").returncode != 0
    assert protected.execute("web1", "id").returncode == 0
    pid = protected.node.run("ctr task list | awk '$1==\"web1\"{print $2}'").stdout.strip()
    entered = protected.node.run(f"nsenter -t {pid} -m /bin/touch /etc/evil", check=False)
    assert entered.returncode != 0
    assert protected.node.run("touch /etc/host-still-works && rm /etc/host-still-works", check=False).returncode == 0


def test_unshare_does_not_shed_the_policy(protected: Protected) -> None:
    protected.write(
        policy("web", WEB, "BPF", attackProtectionRules=[{"rules": ["disable-write-etc"]}], privileged=True)
    )
    protected.start("web1", options=("--privileged",))
    done = protected.execute("web1", "unshare", "-m", "sh", "-c", "touch /etc/evil")
    assert "Permission denied" in done.stderr + done.stdout


def test_a_deleted_policy_frees_the_container(protected: Protected) -> None:
    protected.write(policy("web", WEB, "BPF", attackProtectionRules=[{"rules": ["disable-write-etc"]}]))
    protected.start("web1")
    assert protected.execute("web1", "touch", "/etc/evil").returncode != 0
    protected.node.run("rm /etc/varmor/policies.d/test.yaml")
    assert protected.reload().returncode == 0
    assert protected.execute("web1", "touch", "/etc/evil").returncode == 0


def test_seccomp_denials_name_syscall_and_container(protected: Protected) -> None:
    protected.write(policy("web", WEB, "Seccomp", hardeningRules=["disallow-create-user-ns"]))
    protected.start("web1")
    assert protected.execute("web1", "unshare", "-U", "true").returncode != 0
    record = protected.wait_for_violation(enforcer="Seccomp", action="DENIED", containerName="web1")
    assert record["event"]["syscall"] == "unshare"


def test_observation_records_and_lets_pass(protected: Protected) -> None:
    rules: dict[str, Any] = {"attackProtectionRules": [{"rules": ["disable-write-etc"]}], "allowViolations": True}
    protected.write(policy("web", WEB, "AppArmorBPF", **rules))
    protected.start("web1")
    assert protected.execute("web1", "touch", "/etc/seen").returncode == 0
    assert protected.wait_for_violation(enforcer="BPF", action="AUDIT", containerName="web1")
    assert protected.wait_for_violation(enforcer="AppArmor", action="AUDIT", containerName="web1")

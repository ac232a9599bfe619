# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.manifests import profile
from varmor.profile.bpf import RUNTIME_DEFAULT
from varmor.profile.bpf_words import ALL_FLAGS, UMOUNT
from varmor.profile.types import Access, BpfProfile

WRITE = Access.WRITE | Access.APPEND


def _bpf(**values: Any) -> BpfProfile:
    made = profile(enforcer="BPF", **values).bpf
    assert made is not None
    return made


def _regex(pattern: str) -> str:
    """A reading of the glob language that shares nothing with the product's."""
    out, depth, at = "", 0, 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            out, at = f"{out}.*", at + 2
            continue
        sign = pattern[at]
        at += 1
        if sign == "[":
            end = pattern.index("]", at)
            body = pattern[at:end]
            out += f"[^/{body[1:]}]" if body[0] == "^" else f"[{body}]"
            at = end + 1
        elif sign in "*?":
            out += "[^/]*" if sign == "*" else "[^/]"
        elif sign == "{":
            out, depth = f"{out}(?:", depth + 1
        elif sign == "}":
            out, depth = f"{out})", depth - 1
        else:
            out += "|" if sign == "," and depth else re.escape(sign)
    return out


def _denied(made: BpfProfile, path: str) -> Access:
    denied = Access(0)
    for rule in made.paths:
        if rule.deny and re.fullmatch(_regex(rule.pattern), path, re.DOTALL):
            denied |= rule.access
    return denied


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/proc/sysrq-trigger", Access.READ | WRITE),
        ("/proc/kcore", Access.READ | WRITE),
        ("/sys/firmware/efi/vars", Access.READ | WRITE),
        ("/sys/kernel/security/apparmor/.load", Access.READ | WRITE),
        ("/proc/sys/kernel/core_pattern", WRITE),
        ("/proc/sys/kernel/sysrq", WRITE),
        ("/proc/sys/kernel/threads-max", WRITE),
        ("/proc/sys/kernel/domainname", WRITE),
        ("/proc/sys/kernel/seccomp/actions_logged", WRITE),
        ("/proc/sys/kernel/semaphores", WRITE),
        ("/proc/sys/net/ipv4/ip_forward", WRITE),
        ("/proc/sys/keys/x", WRITE),
        ("/proc/sys/kx", WRITE),
        ("/proc/irq/1/smp_affinity", WRITE),
        ("/proc/scsi/scsi", WRITE),
        ("/proc/sysvipc/shm", WRITE),
        ("/proc/sy/x", WRITE),
        ("/proc/bus/pci/00", WRITE),
        ("/proc/uptime", WRITE),
        ("/sys/kernel/uevent_helper", WRITE),
        ("/sys/fs/bpf/x", WRITE),
        ("/sys/fs/cg", WRITE),
        ("/sys/fsx", WRITE),
        ("/sys/power/state", WRITE),
        ("/sys/fs/cgroup/cpu.max", Access(0)),
        ("/sys/fs/cgroup", Access(0)),
        ("/proc/sys/kernel/shmmax", Access(0)),
        ("/proc/sys/kernel/shm_rmid_forced", Access(0)),
        ("/proc/sys/kernel/sem", Access(0)),
        ("/proc/1234/oom_score_adj", Access(0)),
        ("/proc/1234/task/1234/comm", Access(0)),
        ("/proc/1/mem", Access(0)),
        ("/etc/hosts", Access(0)),
        ("/system/x", Access(0)),
        ("/data/proc/sys/kernel/x", Access(0)),
    ],
)
def test_runtime_default(path: str, expected: Access) -> None:
    assert _denied(_bpf(mode="RuntimeDefault"), path) == expected


def test_runtime_default_refuses_mounts_and_says_nothing() -> None:
    made = _bpf(mode="RuntimeDefault")
    (mount,) = made.mounts
    assert (mount.source, mount.fstype, mount.flags, mount.reverse) == ("**", "*", ALL_FLAGS & ~UMOUNT, ALL_FLAGS)
    assert not any(rule.audit for rule in made.paths)
    assert not mount.audit
    assert {rule.origin for rule in made.paths} == {RUNTIME_DEFAULT}


def test_always_allow_and_privileged_have_no_base() -> None:
    assert _bpf(mode="AlwaysAllow") == BpfProfile()
    assert _bpf(privileged=True) == BpfProfile()


RULES: dict[str, Any] = {
    "hardeningRules": [
        "disallow-write-core-pattern",
        "disallow-mount",
        "disable-cap-privileged",
        "disable-cap-net-raw",
        "disallow-create-user-ns",
    ],
    "attackProtectionRules": [
        {"rules": ["disable-write-etc", "mitigate-sa-leak", "disable-shell", "block-access-to-metadata-service"]}
    ],
    "privileged": True,
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc", WRITE),
        ("/etc/passwd", WRITE),
        ("/etc/a/b", WRITE),
        ("/etcetera", Access(0)),
        ("/host/proc/sys/kernel/core_pattern", WRITE),
        ("/run/secrets/kubernetes.io/serviceaccount/..2026_01/token", Access.READ),
        ("/var/run/secrets/kubernetes.io/serviceaccount", Access.READ),
        ("/run/secrets/eks.amazonaws.com/serviceaccount/token", Access.READ),
        ("/run/secrets/azure/tokens/x", Access.READ),
        ("/host/var/lib/kubelet/pods/1/volumes/kubernetes.io~projected/kube-api-access-x7/token", Access.READ),
        ("/run/secrets/mine", Access(0)),
        ("/bin/sh", Access.READ | Access.EXEC),
        ("/usr/bin/bash", Access.READ | Access.EXEC),
        ("/sh", Access.EXEC),
        ("/usr/share/bash", Access.EXEC),
        ("/usr/bin/bash-static", Access.READ | Access.EXEC),
        ("/usr/bin/shred", Access(0)),
        ("/usr/bin/ssh", Access(0)),
    ],
)
def test_built_in_paths(path: str, expected: Access) -> None:
    assert _denied(_bpf(**RULES), path) == expected


def test_built_in_others() -> None:
    made = _bpf(**RULES)
    assert {str(rule.network) for rule in made.egress} >= {"169.254.169.254/32", "fd00:ec2::254/128", "100.96.0.96/32"}
    assert {rule.mask.bit_count(): rule.origin for rule in made.capabilities} == {
        27: "disable-cap-privileged",
        1: "disable-cap-net-raw",
    }
    assert [rule.operation for rule in made.switches] == ["userns_create"]
    assert [rule.origin for rule in made.mounts] == ["disallow-mount"]


def test_reactions() -> None:
    def reactions(**values: bool) -> set[tuple[bool, bool]]:
        made = _bpf(**RULES, **values)
        rules: list[Any] = [*made.paths, *made.egress, *made.mounts, *made.capabilities, *made.switches]
        return {(rule.deny, rule.audit) for rule in rules}

    assert reactions() == {(True, False)}
    assert reactions(auditViolations=True) == {(True, True)}
    assert reactions(auditViolations=True, allowViolations=True) == {(False, True)}
    assert reactions(allowViolations=True) == set()


def test_observation_keeps_the_runtime_default() -> None:
    made = _bpf(hardeningRules=["disallow-mount"], auditViolations=True, allowViolations=True)
    default = [rule for rule in made.paths if rule.origin == RUNTIME_DEFAULT]
    assert default
    assert all(rule.deny and rule.audit for rule in default)
    assert [(rule.origin, rule.deny) for rule in made.mounts] == [(RUNTIME_DEFAULT, True), ("disallow-mount", False)]


def test_equal_rules_once() -> None:
    entry = {"qualifiers": ["deny"], "pattern": "/x", "permissions": ["r"]}
    made = _bpf(privileged=True, bpfRawRules={"files": [entry, entry]})
    assert len({replace(rule, origin="") for rule in made.paths}) == 1

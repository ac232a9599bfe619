# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.node.violation_examples import KEY, PROFILE, WEB, attributor, tenant
from varmor.kernel.audit_record import TYPE_AVC, TYPE_SECCOMP, record
from varmor.node.violation_audit import AuditViolations
from varmor.node.violation_record import Action, Violation

AVC = (
    'audit(1700000000.123:45): apparmor="{verdict}" operation="open" class="file" profile="{profile}" name="/etc/x"'
    ' pid=9 comm="sh" requested_mask="wc" denied_mask="wc" fsuid=0 ouid=0'
)
SECCOMP = (
    'audit(1700000000.123:46): auid=0 uid=0 gid=0 ses=1 subj={subject} pid=9 comm="mount" exe="/bin/mount" sig=0'
    " arch=c000003e syscall={number} compat=0 ip=0x1 code={code}"
)


def read(audit: AuditViolations, type_: int, text: str) -> Violation | None:
    raw = record(type_, text)
    assert raw is not None
    return audit.violation(raw)


@pytest.fixture
def audit() -> AuditViolations:
    return AuditViolations(attributor(tenant(), numbers={9: 1}))


@pytest.mark.parametrize(
    ("verdict", "action"), [("DENIED", Action.DENIED), ("AUDIT", Action.AUDIT), ("ALLOWED", Action.ALLOWED)]
)
def test_apparmor(audit: AuditViolations, verdict: str, action: Action) -> None:
    pytest.importorskip("LibAppArmor", reason="needs the package python3-libapparmor")
    found = read(audit, TYPE_AVC, AVC.format(verdict=verdict, profile=PROFILE.name))
    assert found is not None
    assert (found.enforcer, found.action, found.profile) == ("AppArmor", action, PROFILE.name)
    assert (found.workload, found.policy, found.pid, found.comm) == (WEB, KEY, 9, "sh")
    assert found.event["deniedMask"] == "wc"
    assert found.event["class"] == "file"
    assert found.summary == "open wc /etc/x"


@pytest.mark.parametrize("profile", ["lsb_release", "varmor-X", "unconfined"])
def test_other_profiles_are_passed_over(audit: AuditViolations, profile: str) -> None:
    assert read(audit, TYPE_AVC, AVC.format(verdict="DENIED", profile=profile)) is None


def test_a_profile_of_ours_without_a_known_carrier_is_kept(audit: AuditViolations) -> None:
    pytest.importorskip("LibAppArmor", reason="needs the package python3-libapparmor")
    found = read(audit, TYPE_AVC, AVC.format(verdict="DENIED", profile="varmor-gone"))
    assert found is not None
    assert (found.profile, found.workload, found.policy) == ("varmor-gone", None, None)


@pytest.mark.parametrize(
    ("code", "action"),
    [("0x50000", Action.DENIED), ("0x7ffc0000", Action.AUDIT_ALLOWED), ("0x80000000", Action.DENIED)],
)
def test_seccomp(audit: AuditViolations, code: str, action: Action) -> None:
    found = read(audit, TYPE_SECCOMP, SECCOMP.format(subject=PROFILE.name, number=165, code=code))
    assert found is not None
    assert (found.enforcer, found.action, found.profile, found.workload) == ("Seccomp", action, PROFILE.name, WEB)
    assert (found.event["syscall"], found.event["exe"]) == ("mount", "/bin/mount")
    assert found.event.keys() >= {"auditID", "epoch", "subj", "pid", "comm", "exe", "syscall"}


@pytest.mark.parametrize("subject", ["unconfined", "?", "docker-default"])
def test_seccomp_of_a_workload_whose_label_is_not_ours_needs_the_table(audit: AuditViolations, subject: str) -> None:
    text = SECCOMP.format(subject=subject, number=165, code="0x50000")
    found = read(audit, TYPE_SECCOMP, text)
    assert found is not None
    assert found.workload == WEB
    assert read(AuditViolations(attributor(tenant())), TYPE_SECCOMP, text) is None


@pytest.mark.parametrize(
    ("code", "passed"),
    [("0x50000", False), ("0x30000", False), ("0x7ffc0000", True), ("0x80000000", True), ("0x0", True)],
)
def test_what_bpf_tells_of_is_not_recorded_twice(code: str, passed: bool) -> None:
    audit = AuditViolations(attributor(tenant(), numbers={9: 1}), records_seccomp=True)
    found = read(audit, TYPE_SECCOMP, SECCOMP.format(subject=PROFILE.name, number=165, code=code))
    assert (found is not None) is passed


def test_tasks_that_bpf_has_not_bound_are_known_from_audit() -> None:
    audit = AuditViolations(attributor(tenant(), groups={9: [500]}), records_seccomp=True)
    assert read(audit, TYPE_SECCOMP, SECCOMP.format(subject="?", number=165, code="0x50000")) is not None


def test_other_types_are_passed_over(audit: AuditViolations) -> None:
    assert read(audit, 1300, "audit(1.000:1): x=varmor-a") is None


def test_calls_that_only_send_the_c_library_another_way_are_no_violations() -> None:
    known = attributor(tenant(), numbers={9: 1})
    entry = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    known.update([tenant()], [replace(PROFILE, seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]})])
    text = SECCOMP.format(subject=PROFILE.name, number=435, code="0x50000")
    assert read(AuditViolations(known), TYPE_SECCOMP, text) is None

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node.violation_examples import PROFILE, attributor, seccomp_event, tenant, violation
from varmor.kernel.audit_record import TYPE_SECCOMP, AuditRecord, record
from varmor.kernel.bpf.events import Withheld
from varmor.node.violation_journal import ViolationJournal
from varmor.node.violation_log import ViolationLog
from varmor.node.violations import BURST, Violations

DENIAL = (
    f'audit(1700000000.123:46): uid=0 subj={PROFILE.name} pid=9 comm="x" exe="/x" sig=0 arch=c000003e syscall=165'
    " compat=0 ip=0x1 code=0x50001"
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def violations(tmp_path: Path, clock: Clock) -> Violations:
    journal = ViolationJournal(lambda *_words, **_fields: None)
    log = ViolationLog(tmp_path / "violations.log")
    return Violations("node-1", log, journal, attributor(tenant()), [("site", "a")], clock, lambda: 1700000001.0)


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "violations.log").read_text().splitlines()]


def raw(text: str) -> AuditRecord:
    found = record(TYPE_SECCOMP, text)
    assert found is not None
    return found


def test_a_record_becomes_a_line(violations: Violations, tmp_path: Path) -> None:
    violations.accept_records([raw(DENIAL)])
    line = lines(tmp_path)[0]
    assert (line["enforcer"], line["nodeName"], line["metadata"]) == ("Seccomp", "node-1", {"site": "a"})
    assert (violations.recorded, violations.lost) == (1, 0)


def test_records_that_cannot_be_read_are_counted(
    violations: Violations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = raw("audit(1.000:1): pid=1")
    violations.accept_records([broken, broken, raw(DENIAL)])
    assert len(lines(tmp_path)) == 1
    assert violations.lost == 2
    assert len(caplog.records) == 1


def test_a_flood_is_folded_and_none_is_lost(violations: Violations, clock: Clock, tmp_path: Path) -> None:
    for number in range(1000):
        clock.now = number / 100
        violations.accept(violation(pid=number))
    clock.now = 20.0
    violations.tick()
    found = lines(tmp_path)
    assert len(found) == BURST + 1
    assert found[-1]["count"] == 1000 - BURST
    assert violations.recorded == 1000


def test_calls_that_another_filter_refused_are_passed_over(violations: Violations) -> None:
    violations.accept_events([seccomp_event("unshare"), seccomp_event("mount")])
    assert violations.recorded == 0


def test_flush_writes_what_is_held_back(violations: Violations, tmp_path: Path) -> None:
    for number in range(BURST + 5):
        violations.accept(violation(pid=number))
    assert len(lines(tmp_path)) == BURST
    violations.flush()
    assert lines(tmp_path)[-1]["count"] == 5


def test_a_workload_that_floods_with_different_events(violations: Violations, clock: Clock, tmp_path: Path) -> None:
    for number in range(2000):
        violations.accept(violation(key=("open", str(number))))
    clock.now = 60.0
    violations.tick()
    found = lines(tmp_path)
    assert len(found) == 501
    assert sum(line.get("count", 1) for line in found) == 2000


def test_events_that_the_kernel_only_counted_are_told(violations: Violations, tmp_path: Path) -> None:
    violations.accept_withheld(tenant().number, Withheld(denied=4000, audit=0), 1000)
    violations.accept_withheld(tenant().number, Withheld(denied=1, audit=2), 1000)
    told = [(line["action"], line["count"], line["event"]) for line in lines(tmp_path)]
    event = {"operation": "rate_limit", "limit": 1000}
    assert told == [("DENIED", 4000, event), ("DENIED", 1, event), ("AUDIT", 2, event)]
    assert lines(tmp_path)[0]["profileName"] == PROFILE.name
    assert lines(tmp_path)[0]["folded"] == "events beyond 1000 a second"
    assert violations.recorded == 4003

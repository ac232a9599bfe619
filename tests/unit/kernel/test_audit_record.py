# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from varmor.kernel.audit_record import TYPE_SECCOMP, AuditRecordError, record, seccomp_record, syscall_name

LINE = (
    "audit(1795326612.040:4): auid=4294967295 uid=0 gid=0 ses=4294967295 subj=varmor-default-web pid=10692"
    ' comm="python3" exe="/usr/bin/python3.11" sig=0 arch=c000003e syscall=83 compat=0 ip=0x7ff3 code=0x50000'
)


def test_header_and_body_are_split() -> None:
    found = record(TYPE_SECCOMP, LINE)
    assert found is not None
    assert (found.timestamp, found.serial, found.audit_id) == (1795326612.04, 4, "1795326612.040:4")
    assert found.body.startswith("auid=")


def test_enriched_parts_are_dropped() -> None:
    found = record(TYPE_SECCOMP, 'audit(1.000:1): a=1\x1dUID="root"')
    assert found is not None
    assert found.body == "a=1"


@pytest.mark.parametrize("text", ["", "hello", "audit(1:2): x=1", "audit(1.23:4): x"])
def test_messages_without_a_header_are_none(text: str) -> None:
    assert record(TYPE_SECCOMP, text) is None


def test_a_refused_call() -> None:
    raw = record(TYPE_SECCOMP, LINE)
    assert raw is not None
    found = seccomp_record(raw)
    assert (found.syscall, found.action, found.pid) == ("mkdir", "errno", 10692)
    assert (found.comm, found.exe, found.subject) == ("python3", "/usr/bin/python3.11", "varmor-default-web")


@pytest.mark.parametrize(
    ("code", "action"),
    [("0x7ffc0000", "log"), ("0x80000000", "kill_process"), ("0x0", "kill_thread"), ("0x30000", "trap")],
)
def test_actions(code: str, action: str) -> None:
    raw = record(TYPE_SECCOMP, LINE.replace("0x50000", code))
    assert raw is not None
    assert seccomp_record(raw).action == action


def test_names_in_hexadecimal_are_decoded() -> None:
    raw = record(TYPE_SECCOMP, LINE.replace('comm="python3"', "comm=73682041"))
    assert raw is not None
    assert seccomp_record(raw).comm == "sh A"


def test_a_record_without_its_fields_is_an_error_with_the_record() -> None:
    raw = record(TYPE_SECCOMP, "audit(1.000:7): pid=1 comm=x")
    assert raw is not None
    with pytest.raises(AuditRecordError, match=r"1\.000:7"):
        seccomp_record(raw)


def test_unknown_numbers_keep_their_number() -> None:
    assert syscall_name(0xC000003E, 83) == "mkdir"
    assert syscall_name(0xC000003E, 99999) == "syscall_99999"
    assert syscall_name(0x12345678, 1) == "syscall_1"

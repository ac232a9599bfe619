# SPDX-License-Identifier: Apache-2.0
"""The audit stream on a real kernel, without auditd and with auditing switched off, as Debian boots."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.confinement import NAME, confined, text, unavailable
from varmor.kernel import audit
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.audit import AuditStream
from varmor.kernel.audit_apparmor import apparmor_record
from varmor.kernel.audit_record import TYPE_AVC, TYPE_SECCOMP, AuditRecord, seccomp_record

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reading audit records needs root")

# Refuses mkdir, asks for a record of that, and calls it N times.
_SECCOMP = """
import os, sys, seccomp
f = seccomp.SyscallFilter(seccomp.ALLOW)
f.set_attr(seccomp.Attr.CTL_LOG, 1)
f.add_rule(seccomp.ERRNO(1), "mkdir")
f.load()
for _ in range(int(sys.argv[1])):
    try:
        os.mkdir("/tmp/never")
    except PermissionError:
        pass
    else:
        sys.exit("mkdir was not refused")
"""


@pytest.fixture
def stream() -> Iterator[AuditStream]:
    found = AuditStream()
    found.start()
    yield found
    found.close()


def collect(
    stream: AuditStream, wanted: Callable[[AuditRecord], bool], count: int, seconds: float = 30
) -> list[AuditRecord]:
    """The first ``count`` records that are wanted."""
    found: list[AuditRecord] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        select.select([stream.fd()], [], [], 0.5)
        found += [record for record in stream.read() if wanted(record)]
    return found


def seccomp_denials(times: int) -> int:
    """Have mkdir refused some times; the pid that it was refused to."""
    with subprocess.Popen([sys.executable, "-c", _SECCOMP, str(times)], stdin=subprocess.DEVNULL) as child:
        assert child.wait(120) == 0
        return child.pid


def test_the_kernel_answers() -> None:
    assert audit.supported().ok, audit.supported().reason
    assert audit.audit_status().enabled == 0, "this test is about the state in which Debian boots"


def test_the_queue_is_widened(stream: AuditStream) -> None:
    assert audit.audit_status().backlog_limit >= audit.BACKLOG_LIMIT
    assert stream.lost == 0


@pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
def test_apparmor_denials_arrive(stream: AuditStream, tmp_path: Path) -> None:
    enforcer = AppArmor(directory=tmp_path)
    enforcer.apply(NAME, text("audit deny /tmp/effects-* w,", "audit deny capability net_raw,"))
    try:
        confined("/bin/sh", "-c", "echo x > '/tmp/effects-a b'")
        confined(sys.executable, "-c", "import socket; socket.socket(2, 3, 1)")
        raw = collect(
            stream, lambda record: record.type == TYPE_AVC and NAME in record.body and "DENIED" in record.body, 2
        )
    finally:
        enforcer.remove(NAME)
    assert len(raw) == 2
    file, capability = (apparmor_record(record) for record in raw)
    assert file is not None
    assert capability is not None
    assert (file.verdict, file.profile, file.event["name"]) == ("DENIED", NAME, "/tmp/effects-a b")
    assert file.event["deniedMask"] in ("w", "c", "wc")
    assert (capability.operation, capability.event["name"]) == ("capable", "net_raw")


def test_a_refused_call_is_recorded_when_the_filter_asks_for_it(stream: AuditStream) -> None:
    pid = seccomp_denials(1)
    raw = collect(stream, lambda record: record.type == TYPE_SECCOMP and f" pid={pid} " in record.body, 1)
    found = seccomp_record(raw[0])
    assert (found.syscall, found.action, found.pid) == ("mkdir", "errno", pid)


@pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
def test_the_record_of_a_refused_call_names_the_apparmor_profile(stream: AuditStream, tmp_path: Path) -> None:
    enforcer = AppArmor(directory=tmp_path)
    enforcer.apply(NAME, text())
    try:
        assert confined(sys.executable, "-c", _SECCOMP, "1").returncode == 0
        raw = collect(stream, lambda record: record.type == TYPE_SECCOMP and "syscall=83 " in record.body, 1)
    finally:
        enforcer.remove(NAME)
    assert seccomp_record(raw[0]).subject == NAME


def test_a_burst_is_read_whole(stream: AuditStream) -> None:
    count = 2000
    pid = seccomp_denials(count)
    found = collect(stream, lambda record: record.type == TYPE_SECCOMP and f" pid={pid} " in record.body, count, 60)
    assert len(found) + stream.count_losses() >= count
    assert len(found) == count


def test_a_reader_that_does_not_read_learns_of_its_losses() -> None:
    small = AuditStream()
    small.start()
    try:
        small._started().setsockopt(1, 33, 4096)  # SO_RCVBUFFORCE: an own, tiny buffer
        pid = seccomp_denials(1000)
        collect(small, lambda record: f" pid={pid} " in record.body, 1000, 3)
        assert small.lost > 0
    finally:
        small.close()

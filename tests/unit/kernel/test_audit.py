# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from varmor.kernel import audit
from varmor.kernel.audit import AuditError, AuditStream


def message(type_: int, text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("=IHHII", 16 + len(data), type_, 0, 0, 0) + data


def test_only_interesting_records_are_read() -> None:
    stream = AuditStream()
    found = stream._record(message(1400, 'audit(1.000:2): apparmor="DENIED"'))
    assert found is not None
    assert found.body == 'apparmor="DENIED"'
    assert stream._record(message(1300, "audit(1.000:2): syscall")) is None
    assert stream._record(b"short") is None


def test_a_stream_that_was_not_started_says_so() -> None:
    with pytest.raises(AuditError, match="was not started"):
        AuditStream().read()


@pytest.mark.parametrize(
    ("cmdline", "off"), [("quiet audit=0", True), ("audit=off x", True), ("audit=0 audit=1", False), ("quiet", False)]
)
def test_the_last_word_on_the_command_line_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cmdline: str, off: bool
) -> None:
    (tmp_path / "cmdline").write_text(cmdline)
    monkeypatch.setattr(audit, "_CMDLINE", tmp_path / "cmdline")
    assert audit._switched_off() is off
    if off:
        assert "audit=0" in audit.supported().reason

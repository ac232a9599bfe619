# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.unit.node.violation_examples import violation
from varmor.node.violation_journal import ViolationJournal


def test_fields_to_search_for() -> None:
    sent: list[tuple[str, dict[str, str]]] = []
    journal = ViolationJournal(lambda message, **fields: sent.append((message, fields)))
    assert journal.write(violation())
    message, fields = sent[0]
    assert message.startswith("DENIED by BPF: container web")
    assert fields["VARMOR_PROFILE"] == "varmor-default-web"
    assert fields["VARMOR_POLICY"] == "VarmorPolicy default/web"
    assert (fields["VARMOR_ENFORCER"], fields["VARMOR_ACTION"], fields["PRIORITY"]) == ("BPF", "DENIED", "4")
    assert all(isinstance(value, str) for value in fields.values())


def test_no_journal_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(message: str, **_fields: str) -> None:
        raise OSError(f"no socket for {message}")

    journal = ViolationJournal(refuse)
    assert not journal.write(violation())
    assert not journal.write(violation())
    assert journal.lost == 2
    assert len(caplog.records) == 1

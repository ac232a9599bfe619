# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from varmor.kernel.audit_apparmor import AppArmorRecord, apparmor_record
from varmor.kernel.audit_record import TYPE_AVC, AuditRecordError, record

pytest.importorskip("LibAppArmor", reason="needs the package python3-libapparmor")


def read(body: str, verdict: str = "DENIED") -> AppArmorRecord | None:
    raw = record(TYPE_AVC, f'audit(1700000000.123:45): apparmor="{verdict}" {body}')
    assert raw is not None
    return apparmor_record(raw)


def event(body: str) -> dict[str, Any]:
    found = read(body)
    assert found is not None
    return found.event


FILE = (
    'operation="open" {} profile="varmor-a" name="/etc/x" pid=12 comm="sh" requested_mask="wc" denied_mask="w"'
    " fsuid=0 ouid=7"
)


@pytest.mark.parametrize("word", ["", 'class="file"', 'class="file" info="x" error=-13', 'execpath="/bin/y"'])
def test_files_also_with_words_that_libapparmor_does_not_know(word: str) -> None:
    found = read(FILE.format(word))
    assert found is not None
    assert (found.verdict, found.operation, found.profile, found.pid, found.comm) == (
        "DENIED",
        "open",
        "varmor-a",
        12,
        "sh",
    )
    assert found.event["name"] == "/etc/x"
    assert (found.event["requestedMask"], found.event["deniedMask"]) == ("wc", "w")
    assert (found.event["fsuid"], found.event["ouid"]) == (0, 7)


def test_unknown_words_are_kept() -> None:
    found = read(FILE.format('class="file"'))
    assert found is not None
    assert found.extra == {"class": "file"}


def test_hexadecimal_names_are_decoded() -> None:
    assert event('operation="open" profile="varmor-a" name=2F6574632F782079 pid=12 comm="sh"')["name"] == "/etc/x y"


def test_capability_with_the_kernels_padding() -> None:
    assert (
        event('operation="capable" profile="varmor-a" pid=1 comm="sh" capability= 6  capname="setgid"')["name"]
        == "setgid"
    )


def test_network() -> None:
    found = event(
        'operation="connect" class="net" profile="varmor-a" pid=12 comm="sh" laddr=1.2.3.4 lport=44'
        ' faddr=5.6.7.8 fport=80 family="inet" sock_type="stream" protocol=6 requested_mask="send" denied_mask="send"'
    )
    assert (found["netForeignAddr"], found["netForeignPort"], found["netSockType"]) == ("5.6.7.8", 80, "stream")


def test_unix_sockets_whose_addresses_are_beyond_the_grammar() -> None:
    found = read(
        'operation="connect" class="net" profile="varmor-a" pid=12 comm="sh" family="unix" sock_type="stream"'
        ' protocol=0 requested_mask="send connect" denied_mask="send" addr=none peer_addr="@abc" peer="unconfined"'
    )
    assert found is not None
    assert found.event["deniedMask"] == "send"
    assert found.extra["peer_addr"] == "@abc"


def test_user_namespaces() -> None:
    found = event(
        'operation="userns_create" class="namespace" profile="varmor-a" pid=1 comm="x"'
        ' requested="userns_create" denied="userns_create"'
    )
    assert found["deniedMask"] == "userns_create"


@pytest.mark.parametrize("verdict", ["ALLOWED", "AUDIT", "DENIED"])
def test_verdicts(verdict: str) -> None:
    found = read(FILE.format(""), verdict)
    assert found is not None
    assert (found.verdict, found.event["event"]) == (verdict, verdict)


def test_stacked_labels_and_children() -> None:
    found = read('operation="open" profile="varmor-a//child//&varmor-b" name="/x" pid=1 comm="x" denied_mask="r"')
    assert found is not None
    assert found.profile_names == ("varmor-a", "varmor-b")


def test_status_lines_and_other_modules_are_none() -> None:
    assert read('operation="profile_load" profile="unconfined" name="x" pid=1 comm="apparmor_parser"', "STATUS") is None
    raw = record(TYPE_AVC, "audit(1.000:1): avc: denied { read } for pid=1")
    assert raw is not None
    assert apparmor_record(raw) is None


def test_what_cannot_be_read_is_an_error_with_the_record() -> None:
    with pytest.raises(AuditRecordError, match=r"1700000000\.123:45"):
        read('profile="varmor-a" pid=xyz')

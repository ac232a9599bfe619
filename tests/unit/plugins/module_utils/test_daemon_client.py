# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.conftest import ScriptedDaemon


def client_module() -> Any:
    return importlib.import_module("ansible_collections.varmor.fleet.plugins.module_utils.daemon_client")


def client(daemon: ScriptedDaemon, **options: Any) -> Any:
    return client_module().DaemonClient(daemon.path, **options)


def test_reply_comes_back_without_ok(daemon: ScriptedDaemon) -> None:
    daemon.answer("ping", version="0.1.0")
    assert client(daemon).request("ping") == {"version": "0.1.0"}
    assert daemon.requests == [{"op": "ping"}]


def test_arguments_cannot_change_the_operation(daemon: ScriptedDaemon) -> None:
    daemon.answer("ping")
    client(daemon).request("ping", op="policy.delete")
    assert daemon.operations() == ["ping"]


def test_refusal_keeps_the_daemons_words(daemon: ScriptedDaemon) -> None:
    daemon.refuse(
        "policy.put", kind="policy", message="unknown rule x", subject="VarmorPolicy a/b", field="spec.policy"
    )
    with pytest.raises(client_module().DaemonError, match="unknown rule x") as caught:
        client(daemon).request("policy.put")
    assert caught.value.failure() == {
        "kind": "policy",
        "message": "unknown rule x",
        "subject": "VarmorPolicy a/b",
        "field": "spec.policy",
    }


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"", "closed the connection during status"),
        (b"surprise\n", "is not JSON"),
        (b"[]\n", "has no `ok`"),
        (b'{"version": 1}\n', "has no `ok`"),
        (b'{"ok": false}\n', "refused status without a reason"),
    ],
)
def test_bad_replies_are_named(daemon: ScriptedDaemon, reply: bytes, said: str) -> None:
    daemon.replies["status"] = reply
    with pytest.raises(client_module().DaemonError, match=said):
        client(daemon).request("status")


def test_missing_socket_says_what_to_do(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")
    with pytest.raises(
        client_module().UnreachableError, match=r"varmord is not running .*varmor\.fleet\.node"
    ) as caught:
        client_module().DaemonClient(path).request("ping")
    assert caught.value.kind == "unreachable"


def test_a_socket_without_listener(tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with pytest.raises(client_module().UnreachableError, match="Connection refused"):
        client_module().DaemonClient(path).request("ping")


def test_silence_is_a_timeout(tmp_path: Path) -> None:
    path = str(tmp_path / "mute.sock")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        with pytest.raises(client_module().UnreachableError, match=r"did not answer .* within 0\.05 s"):
            client_module().DaemonClient(path, timeout=0.05).request("ping")


def test_request_over_the_limit_is_not_sent(daemon: ScriptedDaemon) -> None:
    with pytest.raises(client_module().DaemonError, match="make the policy smaller"):
        client(daemon).request("policy.put", text="x" * (1 << 20))
    assert daemon.requests == []


def test_waits_until_the_daemon_is_up(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.answer("ping", version="0.1.0")
    late = tmp_path / "late.sock"
    timer = threading.Timer(0.05, lambda: late.symlink_to(daemon.path))
    timer.start()
    assert client_module().DaemonClient(str(late)).wait_until_up(10) == {"version": "0.1.0"}
    timer.join()


def test_waiting_ends_at_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(client_module().UnreachableError):
        client_module().DaemonClient(str(tmp_path / "never.sock")).wait_until_up(0)

# SPDX-License-Identifier: Apache-2.0
"""The socket: one reply for each request, whatever the request is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from varmor.errors import PolicyError, VarmorError
from varmor.node.api import MAX_LINE, ApiServer


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"got": request["x"]}


async def refuse(_request: dict[str, Any]) -> dict[str, Any]:
    raise PolicyError("is wrong", subject="VarmorPolicy default/web", field="spec.target")


async def fail(_request: dict[str, Any]) -> dict[str, Any]:
    raise VarmorError("the kernel said: EPERM")


async def crash(_request: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("lost")


HANDLERS = {"echo": echo, "refuse": refuse, "fail": fail, "crash": crash}


def converse(tmp_path: Path, *lines: bytes) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        server = ApiServer(tmp_path / "api.sock", HANDLERS)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "api.sock", limit=MAX_LINE * 2)
        replies = []
        for line in lines:
            writer.write(line + b"\n")
            await writer.drain()
            replies.append(json.loads(await reader.readline()))
        writer.close()
        await writer.wait_closed()
        await server.stop()
        return replies

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def peer_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varmor.node.api._peer_uid", lambda _writer: 0)


def test_replies_in_order_on_one_connection(tmp_path: Path) -> None:
    replies = converse(tmp_path, b'{"op":"echo","x":1}', b'{"op":"echo","x":2}')
    assert replies == [{"ok": True, "got": 1}, {"ok": True, "got": 2}]


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (b"nonsense", "state", "not JSON"),
        (b"[1]", "state", "unknown operation None; known are crash, echo"),
        (b'{"op":"nope"}', "state", "unknown operation 'nope'"),
        (b'{"op":["x"]}', "state", "unknown operation ['x']"),
        (b'{"op":"fail"}', "state", "the kernel said: EPERM"),
        (b'{"op":"crash"}', "internal", "a fault in varmord"),
    ],
)
def test_errors_are_replies(tmp_path: Path, line: bytes, kind: str, words: str) -> None:
    (reply,) = converse(tmp_path, line)
    assert reply["ok"] is False
    assert reply["error"]["kind"] == kind
    assert words in reply["error"]["message"]


def test_policy_errors_carry_object_and_field(tmp_path: Path) -> None:
    (reply,) = converse(tmp_path, b'{"op":"refuse"}')
    assert reply["error"]["kind"] == "policy"
    assert (reply["error"]["subject"], reply["error"]["field"]) == ("VarmorPolicy default/web", "spec.target")


def test_a_request_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (reply,) = converse(tmp_path, b"x" * (MAX_LINE + 10))
    assert "longer than" in reply["error"]["message"]


def test_others_than_root_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varmor.node.api._peer_uid", lambda _writer: 1000)
    (reply,) = converse(tmp_path, b'{"op":"echo","x":1}')
    assert "uid 1000 may not talk to varmord" in reply["error"]["message"]


def test_the_socket_is_for_root_only_and_replaces_a_stale_one(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("left by a killed daemon")

    async def run() -> int:
        server = ApiServer(tmp_path / "api.sock", HANDLERS)
        await server.start()
        mode = (tmp_path / "api.sock").stat().st_mode & 0o777
        await server.stop()
        return mode

    assert asyncio.run(run()) == 0o600
    assert not (tmp_path / "api.sock").exists()

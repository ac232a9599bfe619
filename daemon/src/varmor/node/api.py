# SPDX-License-Identifier: Apache-2.0
"""The socket API: one JSON object per line, each way, on a unix socket that only root may use.

This file moves bytes and turns exceptions into replies; what an operation does is in :mod:`varmor.node.operations`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from varmor.errors import PolicyError, VarmorError

MAX_LINE = 1 << 20
"""Longest request or reply, in bytes."""

_LOG = logging.getLogger(__name__)
_IDLE_SECONDS = 300
_CREDENTIALS = struct.Struct("3i")

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class ApiServer:
    """Serves ``handlers`` (by operation name) on ``path``."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind the socket (mode 0600, replacing one that a killed daemon left) and listen."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path=self._path, limit=MAX_LINE)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            uid = _peer_uid(writer)
            if uid != 0:
                await _send(writer, _failure("state", f"uid {uid} may not talk to varmord; run as root"))
                return
            await self._conversation(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            _LOG.debug("a client of the socket went away")
        finally:
            writer.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), _IDLE_SECONDS)
            except ValueError:
                await _send(writer, _failure("state", f"the request is longer than {MAX_LINE} bytes"))
                return
            if not line:
                return
            await _send(writer, await self._reply(line))

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError as error:
            return _failure("state", f"the request is not JSON: {error}")
        operation = request.get("op") if isinstance(request, dict) else None
        handler = self._handlers.get(operation) if isinstance(operation, str) else None
        if handler is None:
            return _failure("state", f"unknown operation {operation!r}; known are {', '.join(sorted(self._handlers))}")
        try:
            return {"ok": True, **await handler(request)}
        except PolicyError as error:
            return _failure("policy", str(error), error.subject, error.field)
        except VarmorError as error:
            return _failure("state", str(error))
        except TimeoutError as error:
            return _failure("timeout", str(error) or "the operation took too long")
        except Exception as error:  # noqa: BLE001  a fault of ours becomes a reply, here only
            _LOG.exception("operation %s failed", operation)
            return _failure("internal", f"{type(error).__name__}: {error} (a fault in varmord; see its journal)")


def _failure(kind: str, message: str, subject: str = "", field: str = "") -> dict[str, Any]:
    return {"ok": False, "error": {"kind": kind, "message": message, "subject": subject, "field": field}}


async def _send(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> None:
    writer.write(json.dumps(reply, separators=(",", ":"), default=str).encode() + b"\n")
    await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return int(uid)

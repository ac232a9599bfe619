# SPDX-License-Identifier: Apache-2.0
"""Unit tests of the plugins: the collection's import path, a module runner, a daemon that answers from a script."""

from __future__ import annotations

import importlib
import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args  # type: ignore[import-untyped]

from scripts.collection import tree

_TREE = str(tree())
if _TREE not in sys.path:
    sys.path.append(_TREE)

Reply = dict[str, Any] | bytes
RunModule = Callable[..., dict[str, Any]]


class ScriptedDaemon:
    """A unix socket server that answers each operation with a prepared reply and remembers the requests."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.replies: dict[str, Reply] = {}
        self.requests: list[dict[str, Any]] = []

    def answer(self, operation: str, **reply: Any) -> None:
        """Prepare a successful reply."""
        self.replies[operation] = {"ok": True, **reply}

    def refuse(self, operation: str, **error: str) -> None:
        """Prepare an error."""
        self.replies[operation] = {"ok": False, "error": error}

    def operations(self) -> list[str]:
        """The names of the operations that were asked for, in their order."""
        return [str(request["op"]) for request in self.requests]

    def reply_to(self, line: bytes) -> bytes:
        request = json.loads(line)
        self.requests.append(request)
        reply = self.replies.get(request["op"], b"")
        return reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon(tmp_path / "varmord.sock")

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(scripted.reply_to(self.rfile.readline()))

    with socketserver.ThreadingUnixStreamServer(scripted.path, Conversation) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        server.shutdown()
        thread.join()


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> RunModule:
    """Run a module of the collection as Ansible does and return its result."""

    def run(name: str, /, check: bool = False, **params: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ansible_collections.varmor.fleet.plugins.modules.{name}")
        with patch_module_args({**params, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run

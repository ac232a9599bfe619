# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.errors import NodeError
from tests.nodes.qmp import Qmp


class Peer:
    """A QEMU of one connection: answers each command with the next prepared line."""

    def __init__(self, path: Path, answers: list[dict[str, Any]]) -> None:
        self.seen: list[dict[str, Any]] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b'{"QMP": {}}\n')
            stream.flush()
            for answer in self._answers:
                self.seen.append(json.loads(stream.readline()))
                stream.write(b'{"event": "STOP"}\n' + json.dumps(answer).encode() + b"\n")
                stream.flush()
        self._listener.close()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qmp-") as name:
        yield Path(name) / "qmp"


def test_a_snapshot_leaves_the_shared_memory_out(path: Path) -> None:
    completed = {"return": {"status": "completed"}}
    peer = Peer(path, [{"return": {}}, {"return": {}}, {"return": {}}, {"return": {}}, completed])
    with Qmp(path) as control:
        control.save(Path("/c/my state"))
    peer.thread.join()
    assert [request["execute"] for request in peer.seen] == [
        "qmp_capabilities",
        "stop",
        "migrate-set-capabilities",
        "migrate",
        "query-migrate",
    ]
    assert peer.seen[2]["arguments"]["capabilities"] == [{"capability": "x-ignore-shared", "state": True}]
    assert peer.seen[3]["arguments"] == {"uri": "exec:cat > '/c/my state'"}


def test_what_qemu_refuses_is_said_in_its_words(path: Path) -> None:
    peer = Peer(path, [{"return": {}}, {"error": {"desc": "no such device"}}])
    with Qmp(path) as control, pytest.raises(NodeError, match="qemu refused 'eject': no such device"):
        control.execute("eject")
    peer.thread.join()


def test_a_failed_migration_is_an_error(path: Path) -> None:
    failed = {"return": {"status": "failed", "error-desc": "different version"}}
    peer = Peer(path, [{"return": {}}, {"return": {}}, {"return": {}}, failed])
    with Qmp(path) as control, pytest.raises(NodeError, match="different version"):
        control.restore(Path("/c/state"))
    peer.thread.join()

# SPDX-License-Identifier: Apache-2.0
"""QEMU's control socket."""

from __future__ import annotations

import json
import shlex
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.nodes.errors import NodeError, NodeTimeoutError

_SECONDS = 30.0


class Qmp:
    """A connection to a QEMU. Raises `NodeError` for a command that QEMU refuses, with QEMU's own words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = _connected(path)
        self._stream = self._socket.makefile("rwb")
        self._stream.readline()
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> dict[str, Any]:
        """Run one command and return its answer."""
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._stream.write(json.dumps(request).encode() + b"\n")
        self._stream.flush()
        while True:
            line = self._stream.readline()
            if not line:
                raise NodeError(f"{self._path}: qemu closed the connection during {command!r}")
            answer = json.loads(line)
            if "error" in answer:
                raise NodeError(
                    f"{self._path}: qemu refused {command!r}: {answer['error'].get('desc', answer['error'])}"
                )
            if "return" in answer:
                value = answer["return"]
                return value if isinstance(value, dict) else {"value": value}

    def save(self, state: Path) -> None:
        """Stop the machine and write its state, without the memory (that is in a shared file), to ``state``."""
        self.execute("stop")
        self._ignore_shared_memory()
        self.execute("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
        self._await_migration()

    def restore(self, state: Path) -> None:
        """Load ``state`` into a machine started with ``-incoming defer`` and let it run."""
        self._ignore_shared_memory()
        self.execute("migrate-incoming", uri=f"exec:cat {shlex.quote(str(state))}")
        self._await_migration()
        self.execute("cont")

    def _ignore_shared_memory(self) -> None:
        self.execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def _await_migration(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            status = self.execute("query-migrate")
            if status.get("status") == "completed":
                return
            if status.get("status") == "failed":
                raise NodeError(f"{self._path}: the snapshot failed: {status.get('error-desc', 'qemu gave no reason')}")
            time.sleep(0.02)
        raise NodeTimeoutError(f"{self._path}: the snapshot was not done within {_SECONDS:.0f} s")


def _connected(path: Path) -> socket.socket:
    deadline = time.monotonic() + _SECONDS
    while True:
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(_SECONDS)
        try:
            stream.connect(str(path))
        except OSError as fault:
            stream.close()
            if time.monotonic() > deadline:
                raise NodeTimeoutError(f"{path}: no answer from qemu within {_SECONDS:.0f} s: {fault}") from fault
            time.sleep(0.02)
        else:
            return stream

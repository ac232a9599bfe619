# SPDX-License-Identifier: Apache-2.0
"""The command's side of the daemon's socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from varmor.errors import VarmorError

DEFAULT_SOCKET = Path("/run/varmor/varmord.sock")


class DaemonError(VarmorError):
    """The daemon cannot be reached, or it refused the request."""


def request(
    operation: str, *, socket_path: Path = DEFAULT_SOCKET, timeout: float = 60.0, **arguments: Any
) -> dict[str, Any]:
    """Ask the daemon and return its reply.

    Raises:
        DaemonError: no daemon answers within ``timeout`` seconds, or it answers with an error.
    """
    line = json.dumps({"op": operation, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(socket_path))
            connection.sendall(line)
            with connection.makefile("rb") as stream:
                reply = stream.readline()
    except OSError as error:
        raise DaemonError(
            f"varmord does not answer on {socket_path}: {error.strerror or error}; see `systemctl status varmord`"
        ) from error
    if not reply:
        raise DaemonError("varmord closed the connection without an answer; see `journalctl -u varmord`")
    answer: dict[str, Any] = json.loads(reply)
    if not answer["ok"]:
        raise DaemonError(answer["error"]["message"])
    return answer

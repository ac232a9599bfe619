# SPDX-License-Identifier: Apache-2.0
"""Questions to varmord, and what is left behind for it when it is away."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from typing import Any

from varmor.runc.settings import Settings

_LONGEST_REPLY = 1 << 20
_UNCONFINED = "/run/varmor/unconfined"
_SYSLOG = "/dev/log"
_DAEMON_ERROR = 3 << 3 | 3
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")


class DaemonError(Exception):
    """The daemon is away, did not answer in time, or refused."""


def ask(settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request and wait for its reply.

    Raises:
        DaemonError: there was no reply, or it said that something is wrong.
    """
    deadline = time.monotonic() + settings.timeout
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(settings.timeout)
            connection.connect(settings.socket)
            connection.sendall(json.dumps(request).encode() + b"\n")
            reply = _reply(connection, deadline)
    except TimeoutError as error:
        raise DaemonError(f"varmord did not answer {request['op']} within {settings.timeout:g} s") from error
    except OSError as error:
        raise DaemonError(f"varmord is away: {settings.socket}: {error.strerror or error}") from error
    except ValueError as error:
        raise DaemonError(f"varmord's answer to {request['op']} cannot be read: {error}") from error
    if reply.get("ok") is not True:
        problem = reply.get("error")
        message = problem.get("message") if isinstance(problem, dict) else problem
        raise DaemonError(f"varmord refused {request['op']}: {message}")
    return reply


def _reply(connection: socket.socket, deadline: float) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(65536)
        if not part:
            raise ValueError("it ended early")
        data += part
        if len(data) > _LONGEST_REPLY:
            raise ValueError(f"longer than {_LONGEST_REPLY} bytes")
    reply = json.loads(data)
    if not isinstance(reply, dict):
        raise ValueError("not an object")  # noqa: TRY004  a broken answer, like the others
    return reply


def report_unconfined(container_id: str, bundle: str, reason: str, directory: str = _UNCONFINED) -> None:
    """Say loudly that a container starts without its profile: in the system's log, and in a file that the daemon
    reads when it is back.
    """
    shout(f"container {container_id} starts WITHOUT its vArmor profile (fail: open): {reason}")
    name = container_id if _SAFE_NAME.fullmatch(container_id) else hashlib.sha256(container_id.encode()).hexdigest()
    record = {"id": container_id, "bundle": bundle, "reason": reason, "time": time.time()}
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)  # noqa: PTH103  pathlib costs start-up time
        temporary = f"{directory}/.{name}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as stream:  # noqa: PTH123  as above
            json.dump(record, stream)
        os.replace(temporary, f"{directory}/{name}.json")  # noqa: PTH105  as above
    except OSError as error:
        shout(f"container {container_id}: the record for varmord cannot be kept: {error}")


def shout(message: str) -> None:
    """Write an error line to the system's log. Nothing more can be done when there is no log."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(1)
            log.sendto(f"<{_DAEMON_ERROR}>varmor-runc[{os.getpid()}]: {message}".encode(), _SYSLOG)
    except OSError:
        return

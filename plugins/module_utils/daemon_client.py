# SPDX-License-Identifier: BSD-2-Clause
"""Client of the node daemon's socket.

Runs on the node inside a module, so it needs the standard library only. One request is one line of JSON, one reply is
one line of JSON; varmord answers on a unix socket that only root may use.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

DEFAULT_SOCKET = "/run/varmor/varmord.sock"
MAX_LINE = 1 << 20  # longest request or reply in bytes, the daemon's own limit
_POLL_SECONDS = 0.25


class DaemonError(Exception):
    """The daemon refused a request. ``kind`` is C(policy), C(state), C(timeout), C(internal) or C(unreachable)."""

    def __init__(self, message: str, kind: str = "internal", subject: str = "", field: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.subject = subject
        self.field = field

    def failure(self) -> dict[str, str]:
        """The error as data, for the C(failure) key of a module's result."""
        return {"kind": self.kind, "message": str(self), "subject": self.subject, "field": self.field}


class UnreachableError(DaemonError):
    """Nothing answers on the socket."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="unreachable")


class DaemonClient:
    """Sends requests to varmord. ``timeout`` is in seconds and holds for each request."""

    def __init__(self, path: str = DEFAULT_SOCKET, timeout: float = 30.0) -> None:
        self._path = path
        self._timeout = timeout

    def request(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send one request and return the reply without its C(ok) key.

        Raises UnreachableError when no daemon answers in time and DaemonError when it answers with an error.
        """
        line = json.dumps(dict(arguments, op=operation), separators=(",", ":")).encode("utf-8") + b"\n"
        if len(line) > MAX_LINE:
            raise DaemonError(
                f"the request {operation} has {len(line)} bytes, varmord accepts {MAX_LINE}: make the policy smaller",
                kind="state",
            )
        return _result(self._exchange(line), operation)

    def wait_until_up(self, seconds: float) -> dict[str, Any]:
        """Ask until the daemon answers a ping, for at most ``seconds``; raises UnreachableError after that."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.request("ping")
            except UnreachableError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def _exchange(self, line: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout)
                connection.connect(self._path)
                connection.sendall(line)
                with connection.makefile("rb") as stream:
                    return stream.readline(MAX_LINE + 1)
        except FileNotFoundError as error:
            raise UnreachableError(
                f"varmord is not running on this node ({self._path} does not exist): "
                "install it with the role varmor.fleet.node, or see `systemctl status varmord`"
            ) from error
        except PermissionError as error:
            raise UnreachableError(
                f"{self._path} may be used by root only: run the task with `become: true`"
            ) from error
        except (socket.timeout, TimeoutError) as error:
            raise UnreachableError(
                f"varmord did not answer on {self._path} within {self._timeout:g} s: see `journalctl -u varmord`"
            ) from error
        except OSError as error:
            raise UnreachableError(
                f"varmord does not answer on {self._path}: {error.strerror or error}; see `systemctl status varmord`"
            ) from error


def _result(reply: bytes, operation: str) -> dict[str, Any]:
    if not reply:
        raise UnreachableError(f"varmord closed the connection during {operation}: see `journalctl -u varmord`")
    try:
        answer = json.loads(reply)
    except ValueError as error:
        raise DaemonError(
            f"varmord's reply to {operation} is not JSON ({error}): see `journalctl -u varmord`"
        ) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise DaemonError(f"varmord's reply to {operation} has no `ok`: client and daemon are of different versions")
    if not answer.pop("ok"):
        raise _refusal(answer.get("error") or {}, operation)
    return answer


def _refusal(error: dict[str, Any], operation: str) -> DaemonError:
    return DaemonError(
        str(error.get("message") or f"varmord refused {operation} without a reason: see `journalctl -u varmord`"),
        kind=str(error.get("kind") or "internal"),
        subject=str(error.get("subject") or ""),
        field=str(error.get("field") or ""),
    )

# SPDX-License-Identifier: Apache-2.0
"""The real runtime as a child: same descriptors, same terminal, signals passed on."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")
_EXEC_FAILED = 127


def become(runtime: str, words: list[str]) -> NoReturn:
    """Turn this process into the real runtime."""
    os.execv(runtime, [runtime, *words])  # noqa: S606  an argument list, no shell


def run(runtime: str, words: list[str]) -> int:
    """Run the real runtime to its end; its exit status (128 + N when signal N ended it).

    It is a plain fork: every inheritable descriptor (standard streams, console socket, ``--preserve-fds``, socket
    activation) reaches it under its number.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(runtime, [runtime, *words])  # noqa: S606  as above
        except OSError as error:
            os.write(2, f"varmor-runc: {runtime}: {error.strerror}\n".encode())
            os._exit(_EXEC_FAILED)
    return wait(pid)


def wait(pid: int) -> int:
    """Wait for a child, passing signals on to it; its exit status."""
    import signal  # noqa: PLC0415  only where a child is waited for

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    before = {name: signal.signal(getattr(signal, name), forward) for name in _FORWARDED}
    try:
        _pid, status = os.waitpid(pid, 0)
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def output(runtime: str, words: list[str]) -> str:
    """What the real runtime prints; empty when it fails."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        try:
            os.execv(runtime, [runtime, *words])  # noqa: S606  as above
        except OSError:
            os._exit(_EXEC_FAILED)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read(1 << 20).decode("utf-8", "replace")
    _pid, status = os.waitpid(pid, 0)
    return text if status == 0 else ""


def guarded(action: Callable[[], int]) -> int:
    """Run the command; a fault of ours ends in one line on standard error, never in a traceback."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001  the engine shows standard error to people
        print(f"varmor-runc: {type(error).__name__}: {error}", file=sys.stderr)
        return 1

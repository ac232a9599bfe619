# SPDX-License-Identifier: Apache-2.0
"""QEMU: the parts of a command line that the nodes and the light guest share, and the running process."""

from __future__ import annotations

import functools
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.nodes.commands import run
from tests.nodes.errors import NodeError, NodeTimeoutError

PROGRAM = "qemu-system-x86_64"
# The fastest of the models tried under TCG; rdrand fills the kernel's entropy pool at once.
CPU = "Nehalem,+rdrand"
_NAME_LENGTH = 15  # of /proc/PID/comm: TASK_COMM_LEN without its end


# What this process has started and not yet seen ending: a node may be stopped by another object than started it.
_children: dict[int, subprocess.Popen[bytes]] = {}


@functools.cache
def version() -> str:
    """The version line of QEMU: a snapshot is valid for one version only."""
    return run([PROGRAM, "--version"]).splitlines()[0]


def quoted(value: object) -> str:
    """A value inside an option of QEMU: a comma is doubled."""
    return str(value).replace(",", ",,")


def is_running(pid: int, mark: str) -> bool:
    """Whether ``pid`` is a QEMU that has ``mark`` on its command line (a pid may have been given to another).

    One that is ending counts until the last of its threads is gone: its disk stays locked as long.
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
        ended = _has_ended(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    if ended:
        return False
    if words == [b""]:  # The memory with the command line goes first, the files later.
        return name == PROGRAM[:_NAME_LENGTH]
    return words[0].decode().endswith(PROGRAM) and mark.encode() in words


def _has_ended(pid: int) -> bool:
    """Whether all threads of ``pid`` have ended (the state ``Z`` says so of the first one alone)."""
    process = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([process], [], [], 0)
        return bool(ready)
    finally:
        os.close(process)


def stop(pid: int, mark: str, *, timeout: float = 10) -> None:
    """End the QEMU ``pid`` by SIGKILL and wait until it is gone; does nothing when that QEMU is not there."""
    deadline = time.monotonic() + timeout
    while is_running(pid, mark):
        os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise NodeTimeoutError(f"qemu process {pid} ({mark}) is still there {timeout:.0f} s after SIGKILL")
        _reap(pid)
        time.sleep(0.01)
    _reap(pid)


def _reap(pid: int) -> None:
    """Collect the status of a child of this process; another's child is not ours to collect."""
    process = _children.get(pid)
    if process is not None and process.poll() is not None:
        del _children[pid]


def start(
    argv: Sequence[str], log: Path, *, pass_fds: Sequence[int] = (), outlives: bool = False
) -> subprocess.Popen[bytes]:
    """Start QEMU in a session of its own, its messages in ``log``. Raises `NodeError` when it is not installed.

    Unless it ``outlives`` this process, the kernel ends it together with the thread that called this.
    """
    bound = [] if outlives else ["setpriv", "--pdeathsig", "KILL"]
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                [*bound, *argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=list(pass_fds),
            )
        except FileNotFoundError as fault:
            raise NodeError(f"{argv[0]} is not installed; run `python -m tests.nodes setup`") from fault
    _children[process.pid] = process
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End a QEMU that this process started, if it still runs, and collect its status."""
    if process.poll() is None:
        process.kill()
    process.wait()
    _children.pop(process.pid, None)


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a serial console's log, printable."""
    try:
        text = path.read_bytes()[-16384:].decode(errors="replace")
    except FileNotFoundError:
        return f"({path} is not there)"
    clean = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
    return "\n".join(clean.splitlines()[-lines:])

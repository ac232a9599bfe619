# SPDX-License-Identifier: Apache-2.0
"""ssh to a node on loopback: one master connection, then commands cost a fraction of a handshake."""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.nodes.cache import cache_root, locked
from tests.nodes.commands import run as run_local
from tests.nodes.errors import CommandError, NodeError, NodeTimeoutError

HOST_KEY_ALIAS = "varmor-node"
ADDRESS = "127.0.0.1"


def key_pair() -> Path:
    """The private key of this cache's nodes; made when it is not there."""
    folder = cache_root() / "ssh"
    private = folder / "id_ed25519"
    with locked(folder / ".lock"):
        if not private.exists():
            run_local(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "varmor-test-node", "-f", str(private)])
    return private


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one node. ``control`` is the master connection's socket."""

    port: int
    key: Path
    known_hosts: Path
    control: Path

    def options(self) -> list[str]:
        """The options of ssh, without host and user."""
        pairs = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ControlPath": str(self.control),
            "HostKeyAlias": HOST_KEY_ALIAS,
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": "yes",
            "LogLevel": "ERROR",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "6",
        }
        return ["-i", str(self.key), *(part for name, value in pairs.items() for part in ("-o", f"{name}={value}"))]

    def argv(self, *extra: str) -> list[str]:
        """An ssh command line up to and including the host."""
        return ["ssh", "-F", "none", *self.options(), *extra, "-p", str(self.port), f"root@{ADDRESS}"]

    def wait(self, timeout: float, alive: Callable[[], bool]) -> None:
        """Wait until sshd answers and open the master connection; `NodeError` when the machine dies before."""
        deadline = time.monotonic() + timeout
        fault = "no connection was tried"
        while time.monotonic() < deadline:
            if not alive():
                raise NodeError("the machine ended while it was starting")
            if not self._greets():
                fault = f"nothing says SSH on port {self.port}"
                time.sleep(0.1)
                continue
            answer = self._open_master()
            if answer is None:
                return
            fault = answer
            time.sleep(0.2)
        raise NodeTimeoutError(f"no ssh within {timeout:.0f} s: {fault}")

    def close(self) -> None:
        """End the master connection."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(self.argv("-O", "exit"), capture_output=True, timeout=10, check=False)
        self.control.unlink(missing_ok=True)

    def run(
        self, argv: Sequence[str] | str, *, timeout: float, stdin: IO[bytes] | str | None = None, check: bool, name: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the node: words are quoted, a string goes to the node's shell as it is."""
        remote = argv if isinstance(argv, str) else shlex.join(argv)
        words = [remote] if isinstance(argv, str) else list(argv)
        self._ensure_master(timeout)
        text = stdin.encode() if isinstance(stdin, str) else None
        stream = subprocess.DEVNULL if stdin is None or isinstance(stdin, str) else stdin
        full = [*self.argv("-o", "ControlMaster=no", "-T"), "--", remote]
        try:
            with subprocess.Popen(
                full,
                stdin=stream if text is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as process:
                try:
                    out, err = process.communicate(text, timeout=timeout)
                except BaseException:
                    process.kill()
                    raise
        except subprocess.TimeoutExpired as fault:
            raise NodeTimeoutError(f"{name}: `{remote[:300]}` did not end within {timeout:.0f} s") from fault
        done = subprocess.CompletedProcess(
            words, process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
        if check and done.returncode != 0:
            raise CommandError(words, done.returncode, done.stdout, done.stderr, where=name)
        return done

    def _greets(self) -> bool:
        try:
            with socket.create_connection((ADDRESS, self.port), timeout=2) as stream:
                stream.settimeout(5)
                return stream.recv(4) == b"SSH-"
        except OSError:
            return False

    def _ensure_master(self, timeout: float) -> None:
        if self._master_answers():
            return
        with self.control.with_suffix(".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not self._master_answers():
                self.wait(min(timeout, 60), lambda: True)

    def _master_answers(self) -> bool:
        if not self.control.exists():
            return False
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(self.control))
        except OSError:
            return False
        finally:
            stream.close()
        return True

    def _open_master(self) -> str | None:
        """Open the master connection in the background; returns ssh's complaint, or None."""
        self.control.unlink(missing_ok=True)
        log = self.control.with_suffix(".log")
        argv = self.argv("-M", "-N", "-f", "-o", "ControlPersist=yes")
        # The master outlives this call: it must not hold a pipe of ours.
        with log.open("wb") as stream:
            try:
                done = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    timeout=60,
                    check=False,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired:
                return "the handshake did not end within 60 s"
        return None if done.returncode == 0 else log.read_text(errors="replace").strip() or f"status {done.returncode}"

# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver on loopback, from a temporary folder."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import certificates, programs
from tests.cluster.client import Client
from tests.nodes.errors import NodeError, NodeTimeoutError
from tests.nodes.progress import say

_START_SECONDS = 300
_STOP_SECONDS = 30


class ControlPlane:
    """A control plane without nodes. It is gone, with all that was stored, at the end of the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = folder / "keys"
        self._running: list[subprocess.Popen[bytes]] = []
        self.port = 0

    def __enter__(self) -> Self:
        server, store = programs.api_server(), programs.etcd()
        certificates.make(self._keys)
        began = time.monotonic()
        clients, peers, self.port = _free_ports(3)
        try:
            self._start("etcd", *_etcd(store, self._folder / "etcd", clients, peers))
            self._start("kube-apiserver", *_api_server(server, self._keys, clients, self.port))
            self._wait(began + _START_SECONDS)
        except BaseException:
            self._stop()
            raise
        say(f"kube-apiserver {programs.version()}: ready after {time.monotonic() - began:.1f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def client(self) -> Client:
        """A client with the administrator's certificate."""
        return Client(self.port, self._keys)

    def _start(self, name: str, *argv: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder)
        self._running.append(process)

    def _wait(self, deadline: float) -> None:
        client = self.client()
        try:
            while not _ready(client):
                self._check_alive()
                if time.monotonic() > deadline:
                    raise NodeTimeoutError(f"kube-apiserver was not ready in {_START_SECONDS} s: {self._words()}")
                time.sleep(0.05)
        finally:
            client.close()

    def _check_alive(self) -> None:
        for process in self._running:
            if process.poll() is not None:
                raise NodeError(f"{process.args!r} ended with status {process.returncode}: {self._words()}")

    def _words(self) -> str:
        """The last lines of all logs."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-2000:]}" for log in logs)

    def _stop(self) -> None:
        # The API server first: without its etcd it does not end.
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _ready(client: Client) -> bool:
    try:
        return client.request("GET", "/readyz").accepted
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def _etcd(program: Path, data: Path, clients: int, peers: int) -> list[str]:
    serve, peer = f"http://127.0.0.1:{clients}", f"http://127.0.0.1:{peers}"
    return [
        str(program), "--data-dir", str(data), "--unsafe-no-fsync",
        "--listen-client-urls", serve, "--advertise-client-urls", serve,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
    ]  # fmt: skip


def _api_server(program: Path, keys: Path, store: int, port: int) -> list[str]:
    options = {
        "etcd-servers": f"http://127.0.0.1:{store}",
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": port,
        "tls-cert-file": keys / "server.crt",
        "tls-private-key-file": keys / "server.key",
        "client-ca-file": keys / "ca.crt",
        "service-account-key-file": keys / "accounts.pub",
        "service-account-signing-key-file": keys / "accounts.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": "10.255.0.0/24",
        "authorization-mode": "RBAC",
        # There is no service to write endpoints for, and loopback would be refused as one.
        "endpoint-reconciler-type": "none",
    }
    return [str(program), *(f"--{name}={value}" for name, value in options.items())]

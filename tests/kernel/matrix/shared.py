# SPDX-License-Identifier: Apache-2.0
"""What all scenarios of a run share: processes, addresses, listeners, a disk, a module."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kernel.matrix.calls import call
from tests.kernel.matrix.capability_steps import STRANGER

PORT = 8443
OTHER_PORT = 8444
PORTS = (PORT, OTHER_PORT, 80, 2379, 2380, 10250, 10255)
DISK = "/dev/ram0"
ADDRESSES = (
    "169.254.169.254", "169.254.0.23", "100.96.0.96", "100.100.100.200", "192.0.0.192", "168.63.129.16", "10.96.0.1",
    "10.96.0.2", "10.96.0.3", "169.254.1.1",
)  # fmt: skip
ADDRESSES_V6 = ("fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "fd00::1")


class Props:
    """Makes them; ``values`` is what a stage's ``shared`` holds."""

    def __init__(self, folder: Path) -> None:
        self._children: list[int] = []
        self._open: list[Any] = []
        self._descriptors: list[int] = []
        self.values: dict[str, Any] = {}
        self._processes()
        self._shared_memory(folder)
        self._module()
        self._disk()
        self._addresses()
        self._listeners()
        self._settings()

    def remove(self) -> None:
        """End the processes, close and remove the rest."""
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        call("shmctl", self.values["shm"], 0, 0)
        for item in self._open:
            item.close()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _processes(self) -> None:
        self.values["stranger"] = self._process(lambda: os.setresuid(STRANGER, STRANGER, STRANGER))
        self.values["victim"] = self._process(lambda: None)
        self.values["host_mounts"] = self._opened(Path("/proc/self/ns/mnt"))

    def _opened(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDONLY)
        self._descriptors.append(descriptor)
        return descriptor

    def _keep(self, item: Any) -> Any:
        self._open.append(item)
        return item

    def _process(self, become: Callable[[], object]) -> int:
        """A process that waits until it is killed."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            become()
            os.write(write, b"!")
            while True:
                signal.pause()
        os.read(read, 1)
        os.close(read)
        os.close(write)
        self._children.append(child)
        return child

    def _shared_memory(self, folder: Path) -> None:
        folder.chmod(0o777)
        note = folder / "shm"
        note.touch()
        note.chmod(0o666)
        child = os.fork()
        if child == 0:
            with note.open("w") as stream:
                os.setuid(STRANGER)
                stream.write(str(call("shmget", 0, 4096, 0o1600)))
            os._exit(0)
        os.waitpid(child, 0)
        self.values["shm"] = int(note.read_text())

    def _module(self) -> None:
        found = next(Path(f"/usr/lib/modules/{os.uname().release}/kernel/drivers/net").glob("dummy.ko*"))
        self.values["module"] = self._opened(found)
        self.values["module_flags"] = 0 if found.suffix == ".ko" else 4  # MODULE_INIT_COMPRESSED_FILE

    def _disk(self) -> None:
        if not Path(DISK).exists():
            subprocess.run(["/usr/sbin/modprobe", "brd", "rd_nr=1", "rd_size=4096"], check=True)
        subprocess.run(["/usr/sbin/modprobe", "ext4"], check=True)
        subprocess.run(["/usr/sbin/mkfs.ext2", "-q", "-F", DISK], check=True, capture_output=True)

    def _addresses(self) -> None:
        for address in ADDRESSES:
            subprocess.run(["/bin/busybox", "ip", "addr", "add", f"{address}/32", "dev", "lo"], check=False)
        for address in ADDRESSES_V6:
            subprocess.run(["/bin/busybox", "ip", "-6", "addr", "add", f"{address}/128", "dev", "lo"], check=False)

    def _settings(self) -> None:
        """What stock kernels refuse by themselves, so that only a policy does."""
        for name, value in (("net/ipv4/ping_group_range", "0 2147483647"), ("kernel/perf_event_paranoid", "2")):
            Path("/proc/sys", name).write_text(value)

    def _listeners(self) -> None:
        for port in PORTS:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sock = self._keep(socket.socket(socket.AF_INET6, kind))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("::", port))
                if kind == socket.SOCK_STREAM:
                    sock.listen(4096)

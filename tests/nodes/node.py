# SPDX-License-Identifier: Apache-2.0
"""One test node: a throw-away clone of the image's snapshot."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.nodes import machine
from tests.nodes.errors import CommandError, NodeError, NodeTimeoutError
from tests.nodes.image import MEMORY, NodeImage, free_port, node_image, overlay
from tests.nodes.progress import say
from tests.nodes.qmp import Qmp
from tests.nodes.ssh import ADDRESS, Connection, key_pair
from tests.nodes.vm import Memory, VirtualMachine

_RESTORE_SECONDS = 60
_BOOT_SECONDS = 180
# A socket's path has 107 bytes at most, and ssh adds a random ending of 17 to that of its own.
_LONGEST_FOLDER = 85
Command = Sequence[str] | str


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a node in its folder, so that another process can use it."""

    name: str
    suite: str
    image: str
    cmdline: str
    port: int
    pid: int


class Node:
    """A running node, or one whose power was cut. All times are in seconds."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self._record = record
        self._image = NodeImage(record.suite, Path(record.image))

    @classmethod
    def start(cls, name: str, folder: Path, *, suite: str = "bookworm", cmdline: str = "") -> Node:
        """Clone a node into ``folder``; tries twice. With a ``cmdline`` of its own it is booted, not restored.

        Raises `NodeError` with the end of the serial console when it does not come up.
        """
        if not name.replace("-", "").isalnum() or not name.isascii() or len(name) > 40:
            raise NodeError(f"node name {name!r}: expected letters, digits and dashes, 40 at most")
        if len(os.fsencode(folder)) > _LONGEST_FOLDER:
            raise NodeError(
                f"node {name}: its folder {folder} is too long for a socket; set VARMOR_NODES to a shorter one"
            )
        image = node_image(suite)
        folder.mkdir(parents=True, exist_ok=True)
        node = cls(folder, Record(name, suite, str(image.folder), cmdline, 0, 0))
        for attempt in (1, 2):
            overlay(image.disk, folder / "disk.qcow2")
            try:
                node._launch(restore=not cmdline)
            except NodeError as fault:
                words = f"{fault}\nIts console says:\n{machine.tail(node._machine().serial)}"
                node.stop(keep=True)
                if attempt == 2:
                    raise NodeError(f"node {name}: it did not come up: {words}") from fault
                say(f"node {name}: trying once more: {words}")
            else:
                break
        return node

    @classmethod
    def load(cls, folder: Path) -> Node:
        """The node that an earlier process started in ``folder``."""
        path = folder / "node.json"
        try:
            return cls(folder, Record(**json.loads(path.read_text())))
        except FileNotFoundError as fault:
            raise NodeError(f"node {folder.name!r} is not there; start it with `up {folder.name}`") from fault
        except (TypeError, ValueError) as fault:
            raise NodeError(f"{path}: not the record of a node: {fault}; remove the folder {folder}") from fault

    @property
    def name(self) -> str:
        """The node's name, which is its host name."""
        return self._record.name

    @property
    def port(self) -> int:
        """The port of its sshd on loopback."""
        return self._record.port

    @property
    def suite(self) -> str:
        """The Debian suite."""
        return self._record.suite

    @property
    def serial_log(self) -> Path:
        """The log of the serial console."""
        return self._machine().serial

    def is_running(self) -> bool:
        """Whether its machine runs."""
        return machine.is_running(self._record.pid, self._machine().mark)

    def run(
        self, command: Command, *, check: bool = True, timeout: float = 60, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root: a list of words, or a string for the node's shell.

        Raises `CommandError` when ``check`` and the status is not zero, `NodeTimeoutError` past ``timeout``.
        """
        return self._connection().run(command, timeout=timeout, stdin=stdin, check=check, name=self.name)

    def wait_until(self, command: Command, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run ``command`` until it succeeds; `NodeTimeoutError` with its last words past ``timeout``."""
        deadline = time.monotonic() + timeout
        while True:
            done = self.run(command, check=False, timeout=max(1.0, deadline - time.monotonic()))
            if done.returncode == 0:
                return done
            if time.monotonic() > deadline:
                fault = CommandError(done.args, done.returncode, done.stdout, done.stderr, where=self.name)
                raise NodeTimeoutError(f"not true after {timeout:.0f} s: {fault}")
            time.sleep(0.2)

    def put(self, local: Path, remote: str) -> None:
        """Copy a file (to the path ``remote``) or a folder's content (into the folder ``remote``)."""
        if local.is_dir():
            with tempfile.TemporaryFile() as stream:
                subprocess.run(["tar", "-C", str(local), "-c", "."], stdout=stream, check=True, timeout=120)
                stream.seek(0)
                unpack = 'mkdir -p "$1" && tar -C "$1" --no-same-owner -x'
                self._connection().run(_script(unpack, remote), timeout=300, stdin=stream, check=True, name=self.name)
            return
        with local.open("rb") as stream:
            self._connection().run(_script(_STORE, remote), timeout=300, stdin=stream, check=True, name=self.name)
        self.run(["chmod", f"{local.stat().st_mode & 0o777:o}", remote])

    def put_text(self, text: str, remote: str, mode: int = 0o644) -> None:
        """Write a text file, whole or not at all."""
        self.run(_script(_STORE + ' && chmod "$2" "$1"', remote, f"{mode:o}"), stdin=text)

    def get_text(self, remote: str) -> str:
        """The text of a file."""
        return self.run(["cat", remote]).stdout

    def kill_power(self) -> None:
        """End the machine as a power loss does: nothing in the node gets to write or to say anything."""
        self._stop_machine()

    def boot(self, *, cmdline: str | None = None) -> None:
        """Boot the node's disk from cold and wait until systemd has started all; ``cmdline`` replaces its own."""
        if self.is_running():
            raise NodeError(f"node {self.name}: it runs; cut its power first")
        if cmdline is not None:
            self._record = Record(**{**asdict(self._record), "cmdline": cmdline})
        self._launch(restore=False)

    def reboot(self, timeout: float = 60) -> None:
        """Shut the node down in good order and boot it again."""
        self.run("systemctl reboot", check=False, timeout=20)
        deadline = time.monotonic() + timeout
        while self.is_running():
            if time.monotonic() > deadline:
                raise NodeTimeoutError(f"node {self.name}: it did not shut down within {timeout:.0f} s")
            time.sleep(0.1)
        self._stop_machine()
        self.boot()

    def stop(self, *, keep: bool = False) -> None:
        """End the machine and, unless ``keep``, forget the node and its disk."""
        self._stop_machine()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def inventory_entry(self) -> dict[str, str | int]:
        """The node's variables in an Ansible inventory."""
        connection = self._connection()
        options = [*connection.options()[2:], "-o", "ControlMaster=auto", "-o", "ControlPersist=600"]
        return {
            "ansible_host": ADDRESS,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(connection.key),
            "ansible_ssh_common_args": " ".join(options),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def ssh_argv(self, *words: str) -> list[str]:
        """The command line of an ssh to the node: with ``words`` to run, or for a shell."""
        return self._connection().argv("-o", "ControlMaster=auto", *([] if words else ["-t"])) + list(words)

    def _connection(self) -> Connection:
        return Connection(self.port, key_pair(), self._image.known_hosts, self.folder / "ssh")

    def _machine(self, *, restore: bool = False) -> VirtualMachine:
        memory = Memory(MEMORY, self._image.ram) if restore else Memory(MEMORY)
        return VirtualMachine(
            self.name,
            self.folder,
            self._image.kernel,
            self._image.initrd,
            self.folder / "disk.qcow2",
            "qcow2",
            self.port,
            memory,
            cmdline=self._record.cmdline,
        )

    def _launch(self, *, restore: bool) -> None:
        self._record = Record(**{**asdict(self._record), "port": free_port()})
        spec = self._machine(restore=restore)
        spec.qmp.unlink(missing_ok=True)
        held = self._image.hold()
        try:
            command = spec.command_line(incoming=restore)
            process = machine.start(command, self.folder / "qemu.log", pass_fds=[held], outlives=True)
        finally:
            os.close(held)
        self._record = Record(**{**asdict(self._record), "pid": process.pid})
        self._save()
        if restore:
            with Qmp(spec.qmp) as control:
                control.restore(self._image.state)
        seconds = _RESTORE_SECONDS if restore else _BOOT_SECONDS
        try:
            self._connection().wait(seconds, lambda: process.poll() is None)
        except NodeError as fault:
            raise NodeError(f"{fault}; qemu says: {machine.tail(self.folder / 'qemu.log', 5)}") from fault
        self._settle(restored=restore)

    def _settle(self, *, restored: bool) -> None:
        """Give the clone what must not be the template's: clock, name, machine id."""
        identity = self.folder / "machine-id"
        if not identity.exists():
            identity.write_text(secrets.token_hex(16))
        if restored:
            self.run(["date", "--set", f"@{time.time():.3f}"])
        self.run(_script(_IDENTIFY, self.name, identity.read_text()))
        if restored:
            # The journal lies in a folder named by the machine id; journald looks at it when it starts.
            self.run("systemctl restart systemd-journald")
        else:
            self.run("systemctl is-system-running --wait", check=False, timeout=_BOOT_SECONDS)

    def _stop_machine(self) -> None:
        if self._record.pid:
            self._connection().close()
            machine.stop(self._record.pid, self._machine().mark)

    def _save(self) -> None:
        partial = self.folder / "node.json.partial"
        partial.write_text(json.dumps(asdict(self._record), indent=1) + "\n")
        partial.rename(self.folder / "node.json")


_STORE = 'mkdir -p "$(dirname "$1")" && cat >"$1.partial" && mv "$1.partial" "$1"'
_IDENTIFY = (
    'hostname "$1" && echo "$1" >/etc/hostname && printf "127.0.0.1 localhost\\n127.0.1.1 %s\\n" "$1" >/etc/hosts'
    ' && echo "$2" >/etc/machine-id'
)


def _script(text: str, *arguments: str) -> list[str]:
    return ["sh", "-c", text, "sh", *arguments]

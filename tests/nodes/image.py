# SPDX-License-Identifier: Apache-2.0
"""The node image: root file system, kernel, and a snapshot of the booted system from which clones start in seconds."""

from __future__ import annotations

import concurrent.futures
import secrets
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.nodes import machine
from tests.nodes.cache import entry, file_digest, hold, sources_digest
from tests.nodes.commands import run
from tests.nodes.errors import NodeError
from tests.nodes.initrd import build_initrd, busybox
from tests.nodes.kernel import CLOUD, Kernel, kernel
from tests.nodes.progress import say
from tests.nodes.qmp import Qmp
from tests.nodes.rootfs import customise, pack, package_root
from tests.nodes.ssh import HOST_KEY_ALIAS, Connection, key_pair
from tests.nodes.vm import MODULES, Memory, VirtualMachine
from tests.nodes.workloads import workload_images

MEMORY = 1024
DISK_SIZE = "6G"
NAMESPACES = ("default", "k8s.io")
_BOOT_SECONDS = 180
_SOURCES = ("image.py", "initrd.py", "node_init.sh", "rootfs.py")


@dataclass(frozen=True, slots=True)
class NodeImage:
    """A cache entry: ``disk`` (qcow2 over the raw image), ``ram`` and ``state`` are one moment of the same system."""

    suite: str
    folder: Path

    @property
    def kernel(self) -> Path:
        """The bzImage."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initial RAM disk."""
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        """The disk at the moment of the snapshot; clones lay an overlay on it."""
        return self.folder / "disk.qcow2"

    @property
    def ram(self) -> Path:
        """The memory at the moment of the snapshot."""
        return self.folder / "ram"

    @property
    def state(self) -> Path:
        """The devices and processors at the moment of the snapshot."""
        return self.folder / "state"

    @property
    def known_hosts(self) -> Path:
        """The host keys that every clone shows."""
        return self.folder / "known_hosts"

    def hold(self) -> int:
        """A descriptor that keeps the image from being pruned."""
        return hold(self.folder)


def node_image(suite: str = "bookworm") -> NodeImage:
    """The image of ``suite``: from the cache, or built now (one to two minutes)."""
    root, versions = package_root(suite)
    boot = kernel(suite, CLOUD)
    images = workload_images(suite)
    private = key_pair()
    parts = {
        "packages": versions,
        "kernel": f"{boot.release} {boot.version}",
        "workloads": {path.name: file_digest(path) for path in sorted(images.glob("*.tar"))},
        "ssh key": file_digest(private.with_suffix(".pub")),
        "qemu": machine.version(),
        "machine": _machine(Path("/files"), Path("/running"), 0).command_line(),
        "busybox": file_digest(busybox()),
        "scripts": sources_digest(*_SOURCES),
    }
    return NodeImage(suite, entry(f"node-{suite}", parts, lambda folder: _build(folder, root, boot, images)))


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        port: int = stream.getsockname()[1]
        return port


def overlay(backing: Path, target: Path, *, backing_format: str = "qcow2") -> None:
    """Make an empty qcow2 on top of ``backing``. A relative ``backing`` lies beside the target."""
    target.unlink(missing_ok=True)
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing), "-F", backing_format, str(target)])


def _machine(files: Path, running: Path, port: int) -> VirtualMachine:
    """The template's machine: its disk and memory in ``files``, its sockets and logs in ``running``."""
    memory = Memory(MEMORY, files / "ram", shared=True)
    return VirtualMachine(
        "template", running, files / "vmlinuz", files / "initrd", files / "disk.qcow2", "qcow2", port, memory
    )


def _build(folder: Path, packages: Path, boot: Kernel, images: Path) -> None:
    say("image: making the root file system")
    root = folder / "root"
    run(["cp", "-a", "--reflink=auto", str(packages), str(root)])
    private = key_pair()
    customise(root, boot, private.with_suffix(".pub").read_text(), images, secrets.token_hex(16))
    keys = [path.read_text().split()[:2] for path in sorted((root / "etc/ssh").glob("ssh_host_*_key.pub"))]
    (folder / "known_hosts").write_text("".join(f"{HOST_KEY_ALIAS} {kind} {key}\n" for kind, key in keys))
    pack(root, folder / "disk.img", DISK_SIZE)
    shutil.rmtree(root)
    shutil.copyfile(boot.image, folder / "vmlinuz")
    script = (Path(__file__).parent / "node_init.sh").read_text()
    (folder / "initrd").write_bytes(build_initrd(boot, MODULES, script))
    # A relative backing name: the folder is renamed when it is complete.
    overlay(Path("disk.img"), folder / "disk.qcow2", backing_format="raw")
    _snapshot(folder, private)


def _snapshot(folder: Path, private: Path) -> None:
    say("image: booting the template for its snapshot (about 30 s)")
    with (folder / "ram").open("wb") as stream:
        stream.truncate(MEMORY << 20)
    # Not in the cache: the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="varmor-template-") as name:
        running = Path(name)
        spec = _machine(folder, running, free_port())
        process = machine.start(spec.command_line(), running / "qemu.log")
        connection = Connection(spec.port, private, folder / "known_hosts", running / "ssh")
        try:
            connection.wait(_BOOT_SECONDS, lambda: process.poll() is None)
            say("image: the template answers; waiting for its services, importing the container images")
            _prepare(connection)
            connection.close()
            say("image: saving the snapshot")
            with Qmp(spec.qmp) as control:
                control.save(folder / "state")
        except NodeError as fault:
            words = f"{machine.tail(spec.serial)}\n{machine.tail(running / 'qemu.log')}".strip()
            raise NodeError(f"image: the template did not come up: {fault}\nIts console says:\n{words}") from fault
        finally:
            connection.close()
            machine.end(process)


def _prepare(connection: Connection) -> None:
    def on_template(command: str, seconds: float = 120, *, check: bool = True) -> str:
        return connection.run(command, timeout=seconds, check=check, name="template").stdout

    on_template("systemctl is-system-running --wait", _BOOT_SECONDS, check=False)
    failed = on_template("systemctl --failed --no-legend --plain").strip()
    if failed:
        raise NodeError(f"units failed at the template's first boot:\n{failed}")
    on_template("systemctl is-active --quiet apparmor containerd && aa-status --enabled")

    def import_into(namespace: str) -> None:
        for name in ("busybox", "nginx"):
            on_template(f"ctr -n {namespace} images import /opt/images/{name}.tar </dev/null", 240)

    # One namespace for each of the two processors: containerd hashes 35 MB several times over.
    with concurrent.futures.ThreadPoolExecutor(len(NAMESPACES)) as pool:
        list(pool.map(import_into, NAMESPACES))
    # What the first tasks of every clone load is in memory then.
    on_template("modprobe overlay && python3 -c 'import apt, json, zipfile, subprocess, platform' && sync")

# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line for a test node: the same machine for the template, its clones and cold boots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.nodes import machine

KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 systemd.show_status=0 random.trust_cpu=on"
)
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng")


@dataclass(frozen=True, slots=True)
class Memory:
    """The node's memory: plain when ``file`` is None, else that file, written through when ``shared``."""

    mebibytes: int
    file: Path | None = None
    shared: bool = False

    def backend(self) -> str:
        """The argument of -object."""
        size = f"id=m,size={self.mebibytes}M"
        if self.file is None:
            return f"memory-backend-ram,{size}"
        share = "on" if self.shared else "off"
        return f"memory-backend-file,{size},mem-path={machine.quoted(self.file)},share={share}"


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """One node's machine: where its files are, and what it boots."""

    name: str
    folder: Path
    kernel: Path
    initrd: Path
    disk: Path
    disk_format: str
    port: int
    memory: Memory
    processors: int = 2
    cmdline: str = ""

    @property
    def qmp(self) -> Path:
        """The control socket."""
        return self.folder / "qmp"

    @property
    def serial(self) -> Path:
        """The log of the serial console."""
        return self.folder / "serial.log"

    @property
    def mark(self) -> str:
        """An argument that no other QEMU has: by it a pid is known to be this machine."""
        return f"unix:{machine.quoted(self.qmp)},server=on,wait=off"

    def command_line(self, *, incoming: bool = False) -> list[str]:
        """QEMU's arguments; with ``incoming`` it waits for a snapshot."""
        argv = [machine.PROGRAM, "-name", f"varmor-node-{self.name}", "-accel", "tcg,thread=multi,tb-size=256"]
        argv += ["-M", "q35,usb=off,smbus=off,sata=off,vmport=off,memory-backend=m"]
        argv += ["-object", self.memory.backend(), "-m", str(self.memory.mebibytes)]
        argv += ["-cpu", machine.CPU, "-smp", str(self.processors)]
        argv += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        argv += ["-kernel", str(self.kernel), "-initrd", str(self.initrd)]
        argv += ["-append", f"{KERNEL_ARGUMENTS} {self.cmdline}".strip()]
        disk = f"file={machine.quoted(self.disk)},format={self.disk_format}"
        argv += ["-drive", f"if=none,id=d0,{disk},cache=unsafe,discard=unmap"]
        argv += ["-device", "virtio-blk-pci,drive=d0,addr=3"]
        argv += ["-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        argv += ["-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56,addr=4"]
        argv += ["-object", "rng-random,id=r0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r0,addr=5"]
        argv += ["-rtc", "base=utc,clock=host", "-serial", f"file:{machine.quoted(self.serial)}", "-qmp", self.mark]
        return [*argv, "-incoming", "defer"] if incoming else argv

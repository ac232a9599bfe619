# SPDX-License-Identifier: Apache-2.0
"""The light guest: one command on a stock Debian kernel, with the machine's own root (copy on write) below it.

There is no image to build: a run takes 10-20 s. Nothing the command writes comes back, except in /out.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.nodes import machine
from tests.nodes.cache import entry, file_digest, hold, sources_digest
from tests.nodes.errors import NodeError, NodeTimeoutError
from tests.nodes.initrd import build_initrd, busybox
from tests.nodes.kernel import FULL, Kernel, kernel

_BOOTS = 3
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
PASSED_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TZ")
PASSED_PREFIXES = ("VARMOR_", "PYTEST_", "PYTHON", "HYPOTHESIS_")
Sink = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class GuestOptions:
    """How the light guest runs: kernel suite, memory (MiB), processors, timeout (s) of the whole run.

    With ``icount`` the guest's clock counts instructions (1 ns each) on one processor: benches repeat to 0.1 %.
    """

    suite: str = "bookworm"
    memory: int = 4096
    processors: int = 2
    timeout: float = 300
    icount: bool = False
    cmdline: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuestResult:
    """What the command gave back: exit status, output, and the kernel's console."""

    returncode: int
    stdout: bytes
    stderr: bytes
    console: str


def command_line(
    options: GuestOptions, boot: Kernel, initrd: Path, shares: Mapping[str, Path], console: Path
) -> list[str]:
    """QEMU's arguments. ``shares`` maps a 9p tag to a folder; the one tagged ``root`` is read-only."""
    append = f"console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on {options.cmdline}".strip()
    accelerator = "tcg,tb-size=512" if options.icount else "tcg,thread=multi,tb-size=512"
    processors = 1 if options.icount else options.processors
    argv = [machine.PROGRAM, "-name", "varmor-guest", "-accel", accelerator, "-M", "q35,usb=off,smbus=off,sata=off"]
    argv += ["-cpu", machine.CPU, "-smp", str(processors), "-m", str(options.memory)]
    if options.icount:
        argv += ["-icount", "shift=0,sleep=off"]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    argv += ["-kernel", str(boot.image), "-initrd", str(initrd), "-append", append]
    argv += ["-serial", f"file:{console}", "-device", "virtio-serial-pci"]
    for tag, folder in shares.items():
        share = f"local,path={machine.quoted(folder)},mount_tag={tag},security_model=none"
        argv += ["-virtfs", share + (",readonly=on,multidevs=remap" if tag == "root" else "")]
    return argv


def run_guest(
    argv: Sequence[str],
    options: GuestOptions | None = None,
    *,
    out: Path | None = None,
    cwd: Path | None = None,
    on_stdout: Sink | None = None,
    on_stderr: Sink | None = None,
) -> GuestResult:
    """Run ``argv`` in a light guest and wait for it.

    ``out`` is the folder seen as /out (a temporary one without it), ``cwd`` the command's folder (the caller's own
    without it), the sinks get the output while it comes. Raises `NodeTimeoutError` past ``options.timeout`` and
    `NodeError` when the guest ended without the command's status, with the end of the kernel's console.
    """
    if not argv:
        raise NodeError("light guest: no command given")
    options = options or GuestOptions()
    for _ in range(_BOOTS - 1):
        with contextlib.suppress(_BootError):
            return _run_once(argv, options, out, cwd, on_stdout, on_stderr)
        print("light guest: its kernel ended while it was booting; once more", file=sys.stderr)
    return _run_once(argv, options, out, cwd, on_stdout, on_stderr)


class _BootError(NodeError):
    """The kernel ended before the command began: emulated processors may stumble over code that the kernel patches."""


def _run_once(
    argv: Sequence[str],
    options: GuestOptions,
    out: Path | None,
    cwd: Path | None,
    on_stdout: Sink | None,
    on_stderr: Sink | None,
) -> GuestResult:
    boot = kernel(options.suite, FULL)
    initrd = _initrd(options.suite, boot)
    with tempfile.TemporaryDirectory(prefix="varmor-guest-") as name:
        work = Path(name)
        control = work / "control"
        share = out or work / "out"
        for folder in (control, share):
            folder.mkdir(parents=True, exist_ok=True)
        write_control(control, boot, argv, cwd or Path.cwd(), options.environment)
        shares = {"root": Path("/"), "control": control, "out": share.resolve()}
        console = work / "console"
        qemu = command_line(options, boot, initrd, shares, console)
        with _held(boot.folder), _held(initrd.parent):
            streams = _run(qemu, work, options.timeout, {"stdout": on_stdout, "stderr": on_stderr}, console)
        status = control / "status"
        if not status.exists():
            words = f"{machine.tail(console)}\n{machine.tail(work / 'qemu.log')}".strip()
            kind = NodeError if (control / "started").exists() else _BootError
            raise kind(f"light guest: it ended before the command did; its console says:\n{words}")
        text = console.read_bytes().decode(errors="replace")
        return GuestResult(int(status.read_text()), streams["stdout"], streams["stderr"], text)


def _initrd(suite: str, boot: Kernel) -> Path:
    parts = {
        "kernel": boot.version,
        "busybox": file_digest(busybox()),
        "scripts": sources_digest("guest.py", "initrd.py", "kernel.py", "guest_init.sh", "guest_second.sh"),
    }
    here = Path(__file__).parent

    def build(folder: Path) -> None:
        files = {"second.sh": (here / "guest_second.sh").read_bytes()}
        data = build_initrd(boot, MODULES, (here / "guest_init.sh").read_text(), files)
        (folder / "initrd").write_bytes(data)

    return entry(f"guest-initrd-{suite}", parts, build) / "initrd"


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = hold(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def write_control(control: Path, boot: Kernel, argv: Sequence[str], cwd: Path, extra: Mapping[str, str]) -> None:
    """Write what the guest reads at its start: the command as a script, and where its kernel's modules are."""
    (control / "modules").mkdir()
    (control / "modules" / "path").write_text(f"{boot.modules}\n")
    passed = {
        key: value for key, value in os.environ.items() if key in PASSED_VARIABLES or key.startswith(PASSED_PREFIXES)
    }
    lines = [f"export {key}={shlex.quote(value)}" for key, value in sorted({**passed, **extra}.items())]
    lines += [f"cd {shlex.quote(str(cwd))} || exit 126", f"exec {shlex.join(argv)}"]
    (control / "command").write_text("\n".join(lines) + "\n")


def _run(
    qemu: list[str], work: Path, timeout: float, sinks: Mapping[str, Sink | None], console: Path
) -> dict[str, bytes]:
    ours: dict[str, socket.socket] = {}
    theirs: list[socket.socket] = []
    for name in sinks:
        near, far = socket.socketpair()
        ours[name] = near
        theirs.append(far)
        qemu += ["-chardev", f"socket,id={name},fd={far.fileno()}"]
        qemu += ["-device", f"virtserialport,chardev={name},name={name}"]
    process = machine.start(qemu, work / "qemu.log", pass_fds=[far.fileno() for far in theirs])
    for far in theirs:
        far.close()
    try:
        return _pump(process, ours, sinks, timeout, console)
    finally:
        machine.end(process)
        for near in ours.values():
            near.close()


def _pump(
    process: subprocess.Popen[bytes],
    streams: Mapping[str, socket.socket],
    sinks: Mapping[str, Sink | None],
    timeout: float,
    console: Path,
) -> dict[str, bytes]:
    collected = {name: bytearray() for name in streams}
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise NodeTimeoutError(
                    f"light guest: the command did not end within {timeout:.0f} s; the console says:\n"
                    f"{machine.tail(console)}"
                )
            for key, _ in selector.select(left):
                data = _received(key.fileobj)
                if not data:
                    selector.unregister(key.fileobj)
                    continue
                collected[key.data] += data
                sink = sinks[key.data]
                if sink is not None:
                    sink(data)
    process.wait(timeout=30)
    return {name: bytes(data) for name, data in collected.items()}


def _received(stream: object) -> bytes:
    assert isinstance(stream, socket.socket)
    try:
        return stream.recv(65536)
    except ConnectionResetError:
        return b""

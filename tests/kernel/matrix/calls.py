# SPDX-License-Identifier: Apache-2.0
"""System calls that Python has no function for (x86_64), and what the attacks of several families share."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from varmor.catalog.capabilities import NUMBERS

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_NUMBERS = {
    "shmget": 29, "shmat": 30, "shmctl": 31, "clone": 56, "ptrace": 101, "syslog": 103, "capset": 126, "mknod": 133,
    "mlock": 149, "vhangup": 153, "prctl": 157, "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164,
    "mount": 165, "umount2": 166, "reboot": 169, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176,
    "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
    "splice": 275, "tee": 276, "vmsplice": 278, "timerfd_create": 283, "fallocate": 285, "perf_event_open": 298,
    "prlimit64": 302, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "finit_module": 313, "sched_setattr": 314, "renameat2": 316, "seccomp": 317,
    "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435, "openat2": 437,
    "pidfd_getfd": 438, "mount_setattr": 442, "fchmodat2": 452,
}  # fmt: skip

AT_FDCWD = -100
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18


class StepFailedError(Exception):
    """A step did not do what it is for, and not because it was refused. ``status`` is a child's, as of ``wait``."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


def call(name: str, *arguments: object) -> int:
    """Make a system call. Bytes and paths are passed as they are, numbers as unsigned words.

    Raises:
        OSError: as the kernel says.
    """
    result = int(_LIBC.syscall(ctypes.c_long(_NUMBERS[name]), *[_word(argument) for argument in arguments]))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _word(argument: object) -> object:
    if isinstance(argument, bool | int):
        return ctypes.c_ulong(int(argument) & 0xFFFFFFFFFFFFFFFF)
    if isinstance(argument, Path | str):
        return os.fsencode(argument)
    return argument


def unshare(flags: int) -> None:
    """Leave namespaces."""
    call("unshare", flags)


def mount(source: str | Path, target: str | Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """Mount by the old call."""
    call("mount", str(source), str(target), fstype or None, flags, data or None)


def umount(target: str | Path, flags: int = 0) -> None:
    """Unmount."""
    call("umount2", str(target), flags)


def mount_by_descriptors(fstype: str, target: str | Path, **options: str) -> None:
    """Mount by fsopen, fsconfig, fsmount and move_mount. ``source`` is an option like the others."""
    handle = call("fsopen", fstype, 0)
    for name, value in options.items():
        call("fsconfig", handle, 1, name.encode(), value.encode(), 0)
    call("fsconfig", handle, 6, None, None, 0)
    tree = call("fsmount", handle, 0, 0)
    call("move_mount", tree, b"", AT_FDCWD, str(target), 4)


def bind_by_descriptors(source: str | Path, target: str | Path) -> None:
    """Bind mount by open_tree and move_mount."""
    tree = call("open_tree", AT_FDCWD, str(source), 1)
    call("move_mount", tree, b"", AT_FDCWD, str(target), 4)


def openat2(path: str | Path, flags: int, mode: int = 0) -> int:
    """Open by the newer call; a descriptor."""
    return call("openat2", AT_FDCWD, str(path), struct.pack("=3Q", flags, mode, 0), 24)


def only(*names: str) -> None:
    """Give up all capabilities but these."""
    mask = sum(1 << NUMBERS[name] for name in names)
    header = struct.pack("=Ii", 0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    call("capset", header, struct.pack("=6I", low, low, 0, high, high, 0))


def in_child(function: Callable[[], object]) -> None:
    """Run a function in a forked child; its error is raised here.

    Raises:
        OSError: with the child's error number.
        StepFailedError: the child failed otherwise.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        except OSError as error:
            os.write(write, str(error.errno).encode())
        except BaseException as error:  # noqa: BLE001 - the child must not return into the caller
            os.write(write, f"! {error!r}".encode())
        os._exit(1)
    os.close(write)
    said = b""
    while part := os.read(read, 4096):
        said += part
    os.close(read)
    _pid, status = os.waitpid(child, 0)
    if said.isdigit():
        raise OSError(int(said), os.strerror(int(said)))
    if said or status:
        raise StepFailedError(f"the child ended with {status:#x} {said.decode(errors='replace')}", status)


def execute(program: str | Path | int, *arguments: str, directory: str | Path | None = None) -> None:
    """Run a program (a path or a descriptor) in a child and wait for its success."""

    def run() -> None:
        if directory is not None:
            os.chdir(directory)
        os.execve(program, arguments or ("program",), {"PATH": "/bin"})  # noqa: S606

    in_child(run)


def own_namespace(flags: int, function: Callable[[], object]) -> None:
    """Run a function as root of a new user namespace that has more new namespaces, in a child."""

    def run() -> None:
        user, group = os.getuid(), os.getgid()
        unshare(CLONE_NEWUSER | flags)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        function()

    in_child(run)


def audit_request(kind: int, payload: bytes = b"") -> None:
    """Send a message to the kernel's audit and wait for its acknowledgement."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as sock:
        sock.settimeout(30)
        sock.sendto(struct.pack("=IHHII", 16 + len(payload), kind, 5, 1, 0) + payload, (0, 0))
        while True:
            answer = sock.recv(16384)
            if struct.unpack_from("=H", answer, 4)[0] == 2:
                code = struct.unpack_from("=i", answer, 16)[0]
                if code:
                    raise OSError(-code, os.strerror(-code))
                return


def as_user(uid: int, function: Callable[[], object]) -> None:
    """Run a function in a child that is another user."""

    def run() -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        function()

    in_child(run)


def bpf_program(kind: int = 1, instructions: Sequence[int] = (0xB7, 0x95)) -> int:
    """Load ``return 0`` as a program of this type (1: socket filter); its descriptor."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=Q", word) for word in instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII", kind, len(instructions), ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0
    ).ljust(128, b"\0")
    return call("bpf", 5, attributes, 48)


def bpf_map() -> int:
    """Make an array map; its descriptor."""
    return call("bpf", 0, struct.pack("=5I", 1, 4, 4, 1, 0).ljust(128, b"\0"), 20 + 52)

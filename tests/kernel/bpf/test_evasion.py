# SPDX-License-Identifier: Apache-2.0
"""Ways round the rules that are none: each works without the policy, fails with it, and leaves the neighbour alone."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, ext4_image, in_child
from tests.kernel.bpf.rules import ALL, WRITE, egress, mount, path
from tests.kernel.bpf.system import CLONE_NEWNS, MS_BIND, mount_call, system_call, unshare_mounts
from tests.kernel.bpf.uring import SETUP_SQPOLL, SQE_ASYNC, Operation, perform
from varmor.kernel.bpf.layout import Reason
from varmor.profile.types import Access, BpfProfile

EACCES, EPERM = f"errno {errno.EACCES}", f"errno {errno.EPERM}"
_CLONE3, _SETNS, _NAME_TO_HANDLE, _OPEN_BY_HANDLE, _PIVOT_ROOT = 435, 308, 303, 304, 155
_CLONE_INTO_CGROUP = 0x200000000
_CLONE_NEWUSER = 0x10000000
_AT_FDCWD = -100

Attack = Callable[[Path], object]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on tmpfs with a protected file and a free neighbour."""
    folder = Path("/dev/shm/evasion")
    folder.mkdir()
    (folder / "secret").write_text("secret")
    (folder / "open").write_text("secret")
    (folder / "below").mkdir()
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.fixture
def guarded(workload: Workload, place: Path) -> Workload:
    """A workload that may not touch ``secret``, nor mount anything."""
    workload.apply(BpfProfile(paths=(path(f"{place}/secret", ALL),), mounts=(mount(),)))
    return workload


def read(file: Path) -> str:
    return file.read_text()


def _in_clone_in_another_cgroup(file: Path) -> str:
    """A child that the kernel puts into another cgroup when it makes it (clone3)."""
    cgroup = os.open("/sys/fs/cgroup", os.O_PATH | os.O_DIRECTORY)
    arguments = struct.pack("<11Q", _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    pipe_read, pipe_write = os.pipe()
    child = system_call(_CLONE3, ctypes.create_string_buffer(arguments, len(arguments)), len(arguments))
    if child == 0:
        try:
            os.write(pipe_write, file.read_text().encode())
        except OSError as error:
            os.write(pipe_write, str(error.errno).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return _told(os.read(pipe_read, 100).decode())


def _told(text: str) -> str:
    if text.isdigit():
        raise OSError(int(text), "in the child")
    return text


def _in_another_mount_namespace(file: Path) -> str:
    """setns(2) to the mount namespace of a process that has one of its own."""
    with subprocess.Popen(
        ["unshare", "-m", "--propagation", "unchanged", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            handle = os.open(f"/proc/{other.pid}/ns/mnt", os.O_RDONLY)
            system_call(_SETNS, handle, CLONE_NEWNS)
            return file.read_text()
        finally:
            other.kill()


def _through_the_root_of_another_process(file: Path) -> str:
    return Path(f"/proc/1/root{file}").read_text()


def _through_the_working_directory(file: Path) -> str:
    os.chdir(file.parent)
    return Path("/proc/self/cwd/secret").read_text()


def _below_a_root_of_its_own(file: Path) -> str:
    os.chroot(file.parent)
    os.chdir("/")
    return Path("/secret").read_text()


def _handle(file: Path) -> object:
    """``struct file_handle``: its room, its type, then bytes."""
    buffer = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0).ljust(136, b"\0"), 136)
    system_call(_NAME_TO_HANDLE, _AT_FDCWD, os.fsencode(file), buffer, ctypes.byref(ctypes.c_int()), 0)
    return buffer


def _by_its_handle(file: Path) -> str:
    folder = os.open(file.parent, os.O_RDONLY)
    return os.read(system_call(_OPEN_BY_HANDLE, folder, _handle(file), os.O_RDONLY), 100).decode()


def _by_a_path_descriptor(file: Path) -> str:
    return Path(f"/proc/self/fd/{os.open(file, os.O_PATH)}").read_text()


def _by_a_path_descriptor_without_a_name(file: Path) -> str:
    """linkat(2) with AT_EMPTY_PATH gives a second name to what is open."""
    handle = os.open(file, os.O_PATH)
    system_call(265, handle, b"", _AT_FDCWD, os.fsencode(file.with_name("second")), 0x1000)
    return file.with_name("second").read_text()


def _ring(setup: int = 0, how: int = 0) -> Attack:
    def attack(file: Path) -> str:
        return os.read(perform(Operation.OPENAT, os.fsencode(file), setup=setup, how=how), 100).decode()

    return attack


READS: dict[str, Attack] = {
    "clone3 into another cgroup": _in_clone_in_another_cgroup,
    "setns": _in_another_mount_namespace,
    "/proc/1/root": _through_the_root_of_another_process,
    "/proc/self/cwd": _through_the_working_directory,
    "chroot": _below_a_root_of_its_own,
    "open_by_handle_at": _by_its_handle,
    "O_PATH, opened again": _by_a_path_descriptor,
    "O_PATH, linked": _by_a_path_descriptor_without_a_name,
    "io_uring": _ring(),
    "io_uring in a worker": _ring(how=SQE_ASYNC),
    "io_uring polled by the kernel's thread": _ring(setup=SETUP_SQPOLL),
}


@pytest.mark.parametrize("attack", READS.values(), ids=READS.keys())
def test_reading(guarded: Workload, free: Cgroup, place: Path, attack: Attack) -> None:
    file = place / "secret"
    assert in_child(lambda: attack(file), before=free.enter) == "'secret'"
    subprocess.run(["rm", "-f", place / "second"], check=True)
    assert guarded.call(lambda: attack(file)) == EACCES
    assert guarded.call(lambda: read(place / "open")) == "'secret'"


_SAME_FOR_OTHERS = ("io_uring", "open_by_handle_at", "O_PATH")
NEIGHBOURS = {name: way for name, way in READS.items() if name.startswith(_SAME_FOR_OTHERS)}


@pytest.mark.parametrize("way", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_the_same_ways_lead_to_the_neighbour(guarded: Workload, place: Path, way: Attack) -> None:
    assert guarded.call(lambda: way(place / "open")) == "'secret'"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that forgets the names of its files, mounted, with a file."""
    image = ext4_image(tmp_path)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("secret")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_file_whose_name_the_kernel_forgot_may_be_any(workload: Workload, free: Cgroup, disk: Path) -> None:
    """It is refused wherever some rule denies such an access, and only there."""
    handle = _handle(disk / "sub" / "file")
    folder = os.open(disk, os.O_RDONLY)

    def attack() -> str:
        Path("/proc/sys/vm/drop_caches").write_text("2")
        return os.read(system_call(_OPEN_BY_HANDLE, folder, handle, os.O_RDONLY), 100).decode()

    assert in_child(attack, before=free.enter) == "'secret'"
    workload.apply(BpfProfile(paths=(path("/elsewhere", WRITE),)))
    assert workload.call(attack) == "'secret'"
    workload.apply(BpfProfile(paths=(path("/elsewhere", Access.READ),)))
    assert workload.call(attack) == EACCES
    assert [event.reason for event in workload.events()] == [Reason.NO_PLACE]
    os.close(folder)


def _bind(file: Path) -> str:
    unshare_mounts()
    mount_call(str(file), file.with_name("open"), "none", MS_BIND)
    return file.with_name("open").read_text()


def _bind_in_a_user_namespace(file: Path) -> str:
    system_call(272, _CLONE_NEWUSER | CLONE_NEWNS)
    mount_call(str(file), file.with_name("open"), "none", MS_BIND)
    return file.with_name("open").read_text()


def _overlay(file: Path) -> str:
    """The protected file as the lower layer of an overlay."""
    unshare_mounts()
    system_call(165, b"none", b"/mnt", b"overlay", 0, f"lowerdir={file.parent}:/usr/share".encode())
    return Path("/mnt/secret").read_text()


def _pivot(file: Path) -> str:
    """Another root for the namespace: paths begin there."""
    unshare_mounts()
    system_call(165, b"none", b"/", None, 0x44000, None)
    mount_call(str(file.parent), file.parent, "none", MS_BIND)
    os.chdir(file.parent)
    system_call(_PIVOT_ROOT, b".", b"below")
    return Path("/secret").read_text()


MOUNTS: dict[str, Attack] = {
    "bind mount": _bind,
    "bind mount in a user namespace": _bind_in_a_user_namespace,
    "lower layer of an overlay": _overlay,
    "pivot_root": _pivot,
}


@pytest.mark.parametrize("attack", MOUNTS.values(), ids=MOUNTS.keys())
def test_mounting(guarded: Workload, free: Cgroup, place: Path, attack: Attack) -> None:
    file = place / "secret"
    assert in_child(lambda: attack(file), before=free.enter) == "'secret'"
    assert guarded.call(lambda: attack(file)) == EPERM
    assert guarded.call(lambda: read(place / "open")) == "'secret'"


CHANGES = {
    "unlink": lambda file, how: perform(Operation.UNLINKAT, os.fsencode(file), how=how),
    "rename": lambda file, how: perform(
        Operation.RENAMEAT, os.fsencode(file), os.fsencode(file.with_name("new")), how=how
    ),
    "rename over": lambda file, how: perform(
        Operation.RENAMEAT, os.fsencode(file.with_name("open")), os.fsencode(file), how=how
    ),
    "link": lambda file, how: perform(Operation.LINKAT, os.fsencode(file), os.fsencode(file.with_name("new")), how=how),
}


@pytest.mark.parametrize("how", [0, SQE_ASYNC], ids=["inline", "worker"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changes_by_io_uring(
    guarded: Workload, free: Cgroup, place: Path, change: Callable[[Path, int], int], how: int
) -> None:
    file = place / "secret"
    assert guarded.call(lambda: change(file, how)) == EACCES
    assert read(file) == "secret"
    assert not (place / "new").exists()
    assert guarded.call(lambda: perform(Operation.MKDIRAT, os.fsencode(place / "folder"), how=how)) == "0"
    assert in_child(lambda: change(file, how), before=free.enter) == "0"


@pytest.mark.parametrize("how", [0, SQE_ASYNC], ids=["inline", "worker"])
def test_connecting_by_io_uring(workload: Workload, free: Cgroup, how: int) -> None:
    workload.apply(BpfProfile(egress=(egress("127.0.0.2/32"),)))

    def connect(address: str) -> int:
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        where = struct.pack("<H", socket.AF_INET) + struct.pack(">H", 9) + IPv4Address(address).packed + bytes(8)
        return perform(Operation.CONNECT, str(handle.fileno()).encode(), where, how=how)

    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    assert in_child(lambda: connect("127.0.0.2"), before=free.enter) == "0"
    assert workload.call(lambda: connect("127.0.0.2")) == EPERM
    assert workload.call(lambda: connect("127.0.0.1")) == "0"

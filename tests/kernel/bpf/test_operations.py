# SPDX-License-Identifier: Apache-2.0
"""Operations that are refused as a whole: attack and neighbour of each."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, ext4_image, in_child
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import AllowList, BpfProfile, SwitchRule

EPERM = f"errno {errno.EPERM}"
LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
_UNSHARE, _BPF, _USERFAULTFD, _IO_URING_SETUP, _PERF_EVENT_OPEN = 272, 321, 323, 425, 298
_ADD_KEY, _REQUEST_KEY, _KEYCTL, _INIT_MODULE, _FINIT_MODULE = 248, 249, 250, 175, 313
_KEXEC_LOAD, _KEXEC_FILE_LOAD, _FCHMODAT2 = 246, 320, 452
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432


def call(number: int, *arguments: object) -> int:
    """A system call by its number."""
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = int(LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def switch(operation: str, *, deny: bool = True) -> SwitchRule:
    """A rule that records."""
    return SwitchRule(operation, deny=deny, audit=True, origin="test")


def forbid(workload: Workload, *operations: str) -> None:
    """Put a policy in force that refuses these."""
    workload.apply(BpfProfile(switches=tuple(switch(operation) for operation in operations)))


def assert_refused(workload: Workload, attack: Callable[[], object], operation: str) -> None:
    """The attack gets EPERM, and the record names the operation."""
    workload.events()
    assert workload.call(attack) == EPERM
    event = workload.events()[-1]
    assert (event.hook, event.verdict, event.operation) == (Hook.OPERATION, Verdict.DENIED, operation)


def works(free: Cgroup, attack: Callable[[], object]) -> bool:
    """Whether it is possible without a policy. A refusal later in the kernel than ours is as good as a success."""
    return in_child(attack, before=free.enter) != EPERM


def _user_namespace() -> None:
    call(_UNSHARE, 0x10000000)


def _mount_namespace() -> None:
    call(_UNSHARE, 0x00020000)


def test_user_namespace(workload: Workload, free: Cgroup) -> None:
    assert works(free, _user_namespace)
    forbid(workload, "userns_create")
    assert_refused(workload, _user_namespace, "userns_create")
    assert workload.run("unshare -U true").returncode != 0
    assert workload.call(_mount_namespace) == "None"


def _program() -> None:
    instructions = ctypes.create_string_buffer(struct.pack("<QQ", 0xB7, 0x95), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    words = struct.pack("<IIQQ", 1, 2, ctypes.addressof(instructions), ctypes.addressof(licence))  # a socket filter
    os.close(call(_BPF, 5, ctypes.create_string_buffer(words.ljust(72, b"\0"), 72), 72))


def _map() -> None:
    words = struct.pack("<IIII", 2, 4, 4, 1)  # an array
    os.close(call(_BPF, 0, ctypes.create_string_buffer(words.ljust(72, b"\0"), 72), 72))


def test_bpf(workload: Workload, free: Cgroup) -> None:
    assert in_child(_program, before=free.enter) == "None"
    assert in_child(_map, before=free.enter) == "None"
    forbid(workload, "bpf")
    assert_refused(workload, _program, "bpf")
    assert_refused(workload, _map, "bpf")


def test_bpf_programs_only(workload: Workload) -> None:
    forbid(workload, "bpf_prog_load")
    assert_refused(workload, _program, "bpf_prog_load")
    assert workload.call(_map) == "None"


def _filter(option: int) -> Callable[[], None]:
    instruction = ctypes.create_string_buffer(struct.pack("<HBBI", 0x06, 0, 0, 0xFFFF), 8)  # ret 65535
    program = struct.pack("<H6xQ", 1, ctypes.addressof(instruction))

    def attempt() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
            if option == 51:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                found.bind(("127.0.0.1", 0))
            found.setsockopt(socket.SOL_SOCKET, option, program)

    return attempt


@pytest.mark.parametrize("option", [26, 51], ids=["SO_ATTACH_FILTER", "SO_ATTACH_REUSEPORT_CBPF"])
def test_socket_filter(workload: Workload, free: Cgroup, option: int) -> None:
    assert in_child(_filter(option), before=free.enter) == "None"
    forbid(workload, "socket_filter")
    assert_refused(workload, _filter(option), "socket_filter")


@pytest.mark.parametrize("option", [50, 52], ids=["SO_ATTACH_BPF", "SO_ATTACH_REUSEPORT_EBPF"])
def test_socket_filter_from_a_loaded_program(workload: Workload, option: int) -> None:
    def attempt() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
            found.setsockopt(socket.SOL_SOCKET, option, 0)

    assert workload.call(attempt) != EPERM
    forbid(workload, "socket_filter")
    assert_refused(workload, attempt, "socket_filter")


def test_other_socket_options(workload: Workload) -> None:
    def attempt() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(
                socket.IPPROTO_TCP, 26, 1
            )  # the same number of another level: TCP_CC_INFO is not SO_ATTACH_...

    forbid(workload, "socket_filter")
    assert workload.call(attempt) != EPERM
    assert workload.events() == []


def test_fanout_of_a_packet_socket(workload: Workload, free: Cgroup) -> None:
    def attempt() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as found:
            found.setsockopt(263, 22, b"\0" * 16)  # PACKET_FANOUT_DATA

    assert works(free, attempt)
    forbid(workload, "socket_filter")
    assert_refused(workload, attempt, "socket_filter")


def _userfaultfd() -> None:
    os.close(call(_USERFAULTFD, os.O_CLOEXEC))


def _userfaultfd_device() -> None:
    device = os.open("/dev/userfaultfd", os.O_RDWR)
    os.close(fcntl.ioctl(device, 0xAA00, os.O_CLOEXEC))  # USERFAULTFD_IOC_NEW


def _io_uring() -> None:
    os.close(call(_IO_URING_SETUP, 4, ctypes.create_string_buffer(120)))


def test_userfaultfd(workload: Workload, free: Cgroup) -> None:
    assert in_child(_userfaultfd, before=free.enter) == "None"
    forbid(workload, "userfaultfd")
    assert_refused(workload, _userfaultfd, "userfaultfd")
    assert workload.call(_io_uring) == "None"


@pytest.mark.skipif(not Path("/dev/userfaultfd").exists(), reason="this kernel has no /dev/userfaultfd")
def test_userfaultfd_by_its_device(workload: Workload, free: Cgroup) -> None:
    assert in_child(_userfaultfd_device, before=free.enter) == "None"
    forbid(workload, "userfaultfd")
    assert_refused(workload, _userfaultfd_device, "userfaultfd")


def test_io_uring(workload: Workload, free: Cgroup) -> None:
    assert in_child(_io_uring, before=free.enter) == "None"
    forbid(workload, "io_uring")
    assert_refused(workload, _io_uring, "io_uring")
    assert workload.call(_userfaultfd) == "None"
    assert workload.call(lambda: os.close(os.memfd_create("anonymous"))) == "None"


def _perf_event() -> None:
    words = struct.pack("<IIQ", 1, 128, 0)  # a software event: the processor's clock
    attributes = ctypes.create_string_buffer(words.ljust(128, b"\0"), 128)
    os.close(call(_PERF_EVENT_OPEN, attributes, 0, -1, -1, 0))


def test_perf_event(workload: Workload, free: Cgroup) -> None:
    assert in_child(_perf_event, before=free.enter) == "None"
    forbid(workload, "perf_event_open")
    assert_refused(workload, _perf_event, "perf_event_open")
    assert workload.call(_userfaultfd) == "None"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device with a file system: a loop device over a file."""
    image = ext4_image(tmp_path)
    found = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    yield device
    subprocess.run(["losetup", "-d", device], check=False)


def _read(path: str) -> Callable[[], None]:
    def attempt() -> None:
        os.close(os.open(path, os.O_RDONLY))

    return attempt


def test_block_device_open(workload: Workload, free: Cgroup, disk: str, tmp_path: Path) -> None:
    node = tmp_path / "innocent.txt"
    os.mknod(node, 0o600 | stat.S_IFBLK, Path(disk).stat().st_rdev)
    assert in_child(_read(disk), before=free.enter) == "None"
    forbid(workload, "block_device_open")
    assert_refused(workload, _read(disk), "block_device_open")
    assert_refused(workload, _read(str(node)), "block_device_open")
    assert workload.call(_read("/dev/null")) == "None"
    assert workload.call(_read("/etc/hostname")) == "None"
    assert workload.call(lambda: os.close(os.open(disk, os.O_PATH))) == "None"


def _mount(source: str, target: Path, kind: str, flags: int = 0) -> Callable[[], None]:
    def attempt() -> None:
        _mount_namespace()
        if LIBC.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), None) < 0:
            raise OSError(ctypes.get_errno(), "mount")

    return attempt


def _new_file_system(kind: bytes, source: bytes) -> Callable[[], None]:
    """Made by the new interface and used without being attached."""

    def attempt() -> None:
        handle = call(_FSOPEN, kind, 0)
        call(_FSCONFIG, handle, 1, b"source", source, 0)
        call(_FSCONFIG, handle, 6, None, None, 0)
        tree = call(_FSMOUNT, handle, 0, 0)
        list(Path(f"/proc/self/fd/{tree}/.").iterdir())

    return attempt


def test_block_device_mount(workload: Workload, free: Cgroup, disk: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    new = _new_file_system(b"ext4", disk.encode())
    assert in_child(_mount(disk, target, "ext4"), before=free.enter) == "None"
    assert in_child(new, before=free.enter) == "None"
    forbid(workload, "block_device_mount")
    assert_refused(workload, _mount(disk, target, "ext4"), "block_device_mount")
    assert_refused(workload, new, "block_device_mount")
    assert workload.call(_mount("none", target, "tmpfs")) == "None"
    assert workload.call(_new_file_system(b"tmpfs", b"none")) == "None"
    assert workload.call(_mount("/etc", target, "none", 4096)) == "None"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is not executable."""
    path = tmp_path / "file"
    path.write_text("#!/bin/true\n")
    path.chmod(0o644)
    return path


def _fchmod(path: Path, mode: int) -> None:
    with path.open() as opened:
        os.fchmod(opened.fileno(), mode)


def _fchmodat2(path: Path, mode: int) -> None:
    try:
        call(_FCHMODAT2, AT_FDCWD, os.fsencode(path), mode, 0)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        path.chmod(mode)  # before 6.6


CHANGES: dict[str, Callable[[Path, int], None]] = {
    "chmod": lambda path, mode: path.chmod(mode),
    "fchmod": _fchmod,
    "fchmodat2": _fchmodat2,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("mode", [0o744, 0o654, 0o645])
def test_chmod_x_bit(workload: Workload, file: Path, change: Callable[[Path, int], None], mode: int) -> None:
    forbid(workload, "chmod_x_bit")
    assert_refused(workload, lambda: change(file, mode), "chmod_x_bit")
    assert workload.call(lambda: change(file, 0o600)) == "None"
    assert workload.call(lambda: change(file, 0o6644)) == "None"
    file.chmod(0o755)
    assert workload.call(lambda: change(file, 0o750)) == "None"
    assert file.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("mode", [0o4644, 0o2644])
def test_chmod_s_bit(workload: Workload, file: Path, change: Callable[[Path, int], None], mode: int) -> None:
    forbid(workload, "chmod_s_bit")
    assert_refused(workload, lambda: change(file, mode), "chmod_s_bit")
    assert workload.call(lambda: change(file, 0o755)) == "None"


def test_directories_get_what_they_need(workload: Workload, tmp_path: Path) -> None:
    forbid(workload, "chmod_x_bit", "chmod_s_bit")
    directory = tmp_path / "directory"
    assert workload.call(lambda: directory.mkdir(mode=0o2755)) == "None"
    assert workload.call(lambda: directory.chmod(0o600)) == "None"
    assert workload.call(lambda: directory.chmod(0o2775)) == "None"


CREATIONS: dict[str, Callable[[Path, int], None]] = {
    "open": lambda path, mode: os.close(os.open(path, os.O_CREAT | os.O_WRONLY, mode)),
    "mknod": lambda path, mode: os.mknod(path, mode | stat.S_IFREG),
    "mknod without a type": os.mknod,
    "tmpfile": lambda path, mode: os.close(os.open("/dev/shm", os.O_TMPFILE | os.O_WRONLY, mode)),
}


@pytest.mark.parametrize("create", CREATIONS.values(), ids=CREATIONS.keys())
@pytest.mark.parametrize(("operation", "mode"), [("chmod_x_bit", 0o755), ("chmod_s_bit", 0o4644)])
def test_files_that_are_made_with_such_a_bit(
    workload: Workload,
    free: Cgroup,
    tmp_path: Path,
    create: Callable[[Path, int], None],
    operation: str,
    mode: int,
) -> None:
    def attack() -> None:
        os.umask(0o022)
        create(tmp_path / "made", mode)

    assert in_child(attack, before=free.enter) == "None"
    (tmp_path / "made").unlink(missing_ok=True)
    forbid(workload, operation)
    assert_refused(workload, attack, operation)
    assert workload.call(lambda: create(tmp_path / "made", 0o644)) == "None"
    assert workload.call(lambda: os.mknod(tmp_path / "pipe", 0o755 | stat.S_IFIFO)) == "None"


def _access_list(path: Path, owner: int) -> Callable[[], None]:
    entries = [(0x01, owner), (0x04, 4), (0x20, 4)]  # the owner, its group, the others

    def attempt() -> None:
        value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, 0xFFFFFFFF) for tag, bits in entries)
        os.setxattr(path, "system.posix_acl_access", value)

    return attempt


def test_access_lists(workload: Workload, free: Cgroup, file: Path) -> None:
    result = in_child(_access_list(file, 7), before=free.enter)
    if result == f"errno {errno.EOPNOTSUPP}":
        pytest.skip("the file system of the tests has no access control lists")
    assert result == "None"
    file.chmod(0o644)
    forbid(workload, "chmod_x_bit")
    assert_refused(workload, _access_list(file, 7), "chmod_x_bit")
    assert workload.call(lambda: os.setxattr(file, "user.note", b"x")) != EPERM
    file.chmod(0o744)
    assert workload.call(_access_list(file, 7)) == "None"


USER_KEYRING = -4


@pytest.fixture
def key() -> int:
    """A key of root's."""
    return call(_ADD_KEY, b"user", b"varmor-test", b"x", 1, USER_KEYRING)


def _add_key() -> None:
    call(_ADD_KEY, b"user", b"varmor-test-2", b"x", 1, USER_KEYRING)


def _join_session() -> None:
    call(_KEYCTL, 1, None)


def test_keyring(workload: Workload, free: Cgroup, key: int) -> None:
    def describe() -> None:
        call(_KEYCTL, 6, key, None, 0)

    for attack in (_add_key, _join_session, describe):
        assert in_child(attack, before=free.enter) == "None"
    forbid(workload, "keyring")
    for attack in (_join_session, describe):
        assert_refused(workload, attack, "keyring")
    assert workload.run("true").returncode == 0


@pytest.mark.parametrize(
    "attack", [_add_key, lambda: call(_REQUEST_KEY, b"user", b"varmor-test", None, 0)], ids=["add", "request"]
)
def test_keyring_that_is_searched(workload: Workload, key: int, attack: Callable[[], object]) -> None:
    """The kernel may say that there is none: it looks in several keyrings, and each is refused."""
    assert key
    assert not workload.call(attack).startswith("errno")
    forbid(workload, "keyring")
    assert workload.call(attack).startswith("errno")
    assert workload.events()[-1].operation == "keyring"


def _init_module() -> None:
    call(_INIT_MODULE, ctypes.create_string_buffer(b"\x7fELF" + bytes(996), 1000), 1000, b"")


def _finit_module(path: Path) -> Callable[[], None]:
    def attempt() -> None:
        call(_FINIT_MODULE, os.open(path, os.O_RDONLY), b"", 0)

    return attempt


def test_kernel_module(workload: Workload, free: Cgroup, file: Path) -> None:
    no_module = f"errno {errno.ENOEXEC}"
    assert in_child(_init_module, before=free.enter) == no_module
    assert in_child(_finit_module(file), before=free.enter) == no_module
    forbid(workload, "kernel_module")
    assert_refused(workload, _init_module, "kernel_module")
    assert_refused(workload, _finit_module(file), "kernel_module")
    assert workload.call(_read(str(file))) == "None"


def _kexec_file(path: Path) -> Callable[[], None]:
    def attempt() -> None:
        opened = os.open(path, os.O_RDONLY)
        call(_KEXEC_FILE_LOAD, opened, opened, 1, b"", 0)

    return attempt


def test_kexec(workload: Workload, free: Cgroup, file: Path) -> None:
    def attack() -> None:
        call(_KEXEC_LOAD, 0, 0, None, 0)  # nothing: unloads what was loaded

    assert in_child(attack, before=free.enter) == "None"
    assert works(free, _kexec_file(file))
    forbid(workload, "kexec")
    assert_refused(workload, attack, "kexec")
    assert_refused(workload, _kexec_file(file), "kexec")
    assert workload.call(_init_module) == f"errno {errno.ENOEXEC}"


def test_recorded_only(workload: Workload) -> None:
    workload.apply(BpfProfile(switches=(switch("userfaultfd", deny=False),)))
    assert workload.call(_userfaultfd) == "None"
    assert [(event.verdict, event.operation) for event in workload.events()] == [(Verdict.AUDIT, "userfaultfd")]


def test_allow_list(workload: Workload) -> None:
    workload.apply(
        BpfProfile(allow=AllowList(deny=True, audit=False, capabilities=(1 << 64) - 1, switches=("userfaultfd",)))
    )
    assert workload.call(_userfaultfd) == "None"
    assert workload.call(_io_uring) == EPERM

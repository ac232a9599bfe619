# SPDX-License-Identifier: Apache-2.0
"""Scenarios of rules about calls: user namespaces, BPF, userfaultfd, splice, modules, mode bits."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import socket
import struct
import threading
from pathlib import Path

from tests.kernel.matrix.calls import (
    AT_FDCWD,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    bpf_map,
    bpf_program,
    call,
    execute,
    mount,
    own_namespace,
    unshare,
)
from tests.kernel.matrix.capability_scenarios import setup as capability_setup
from tests.kernel.matrix.capability_steps import (
    attach,
    finit_module,
    init_module,
    kexec,
    lacking,
    open_by_handle,
    perf_event,
    read_log,
    work,
)
from tests.kernel.matrix.file_steps import both, open_x_bit
from tests.kernel.matrix.program_steps import TRUE, load, program
from tests.kernel.matrix.scenario import REFUSED, Scenario, Stage, Step, passes
from varmor.policy.types import Enforcer

_ENOSYS = REFUSED | {errno.ENOSYS}
_SO_ATTACH_FILTER, _SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF = 26, 50, 51, 52


def _wait(child: int) -> None:
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _clone(flags: int) -> Step:
    return lambda _stage: _wait(call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0))


def _clone3(flags: int) -> Step:
    arguments = struct.pack("=8Q", flags, 0, 0, 0, int(signal.SIGCHLD), 0, 0, 0)
    return lambda _stage: _wait(call("clone3", arguments, 64))


def _unshare(flags: int) -> Step:
    return lambda _stage: unshare(flags)


def _thread(_stage: Stage) -> None:
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    assert done


def _namespace(flags: int, inner: Step) -> Step:
    return lambda stage: own_namespace(flags, lambda: inner(stage))


def _mount_inside(stage: Stage) -> None:
    mount("none", stage.directory, "tmpfs")


def _load(kind: int) -> Step:
    return lambda _stage: os.close(bpf_program(kind))


def _map(_stage: Stage) -> None:
    os.close(bpf_map())


def _attach(option: int, value: bytes | None = None, kind: int = socket.SOCK_DGRAM) -> Step:
    def step(stage: Stage) -> None:
        code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0xFFFF))  # return
        filter_ = struct.pack("=HxxxxxxQ", 1, ctypes.addressof(code))
        with socket.socket(socket.AF_INET, kind) as sock:
            if option in (_SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.bind(("127.0.0.1", 0))
            given = struct.pack("=I", stage.values["program"]) if option in (50, 52) else filter_
            sock.setsockopt(socket.SOL_SOCKET, option, given if value is None else value)

    return step


def _load_before(stage: Stage) -> None:
    stage.values["program"] = bpf_program()


def _options(_stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 26)


def _userfaultfd(flags: int) -> Step:
    return lambda _stage: os.close(call("userfaultfd", os.O_CLOEXEC | flags))


def _userfaultfd_device(_stage: Stage) -> None:
    descriptor = os.open("/dev/userfaultfd", os.O_RDWR)
    os.close(fcntl.ioctl(descriptor, 0xAA00, os.O_CLOEXEC))  # USERFAULTFD_IOC_NEW


def _descriptors(_stage: Stage) -> None:
    os.close(os.eventfd(0))
    os.close(os.memfd_create("x"))


def _splice(stage: Stage) -> None:
    _read, write = os.pipe()
    source = os.open(stage.file("source"), os.O_RDONLY)
    assert os.splice(source, write, 4) == 4


def _sendfile(stage: Stage) -> None:
    one, other = socket.socketpair()
    source = os.open(stage.file("source"), os.O_RDONLY)
    assert os.sendfile(one.fileno(), source, 0, 4) == 4
    assert other.recv(4)


def _delete_module(_stage: Stage) -> None:
    try:
        call("delete_module", b"varmor_none", os.O_NONBLOCK)
    except FileNotFoundError:
        return


def _mode(bits: int) -> dict[str, Step]:
    """Ways to give a file these mode bits."""

    def named(stage: Stage) -> Path:
        return stage.file("mode")

    def by_descriptor(stage: Stage) -> None:
        os.fchmod(os.open(named(stage), os.O_RDONLY), bits)

    def by_directory(stage: Stage) -> None:
        path = named(stage)
        os.chmod(path.name, bits, dir_fd=os.open(path.parent, os.O_RDONLY))

    def by_fchmodat2(stage: Stage) -> None:
        try:
            call("fchmodat2", AT_FDCWD, named(stage), bits, 0)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            named(stage).chmod(bits)  # the kernel is older than the call

    return {
        "chmod": lambda stage: named(stage).chmod(bits),
        "fchmod": by_descriptor,
        "fchmodat": by_directory,
        "fchmodat2": by_fchmodat2,
    }


def _created(bits: int) -> Step:
    def step(stage: Stage) -> None:
        path = stage.path("created")
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, bits))
        if path.stat().st_mode & bits & 0o7111 != bits & 0o7111:
            raise lacking("the mode")

    return step


def _made(bits: int) -> Step:
    def step(stage: Stage) -> None:
        path = stage.path("node")
        path.unlink(missing_ok=True)
        os.mknod(path, 0o100000 | bits)
        if path.stat().st_mode & bits & 0o7111 != bits & 0o7111:
            raise lacking("the mode")

    return step


def _harmless_modes(stage: Stage) -> None:
    path = stage.file("harmless")
    path.chmod(0o600)
    path.chmod(0o644)
    os.fchmod(os.open(path, os.O_RDONLY), 0o640)
    stage.path("plain").write_text("x")
    stage.folder("folder")


def _ways(ways: dict[str, Step], attack: str, neighbour: Step, **more: Step) -> Scenario:
    rest = {name: step for name, step in ways.items() if name != attack}
    return Scenario(attack=ways[attack], neighbour=neighbour, evasions={**rest, **more})


def _root_of(pid_key: str, name: str) -> Step:
    return lambda stage: list(Path(f"/proc/{stage.shared[pid_key]}/{name}/").iterdir())


def _read_victims_file(stage: Stage) -> None:
    Path(f"/proc/{stage.shared['victim']}/root/etc/hostname").read_bytes()


def _own_root(_stage: Stage) -> None:
    assert list(Path("/proc/self/root/").iterdir())
    Path("/proc/self/status").read_bytes()


def _io_uring(_stage: Stage) -> None:
    os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


def _kexec_file(stage: Stage) -> None:
    kernel = os.open(stage.file("kernel"), os.O_RDONLY)
    try:
        call("kexec_file_load", kernel, 0, 1, b"", 4)  # KEXEC_FILE_NO_INITRAMFS
    except OSError as error:
        if error.errno not in (errno.ENOEXEC, errno.EINVAL):
            raise


def _add_key(_stage: Stage) -> None:
    call("add_key", b"user", b"matrix", b"payload", 7, -2)  # the process's keyring


def _request_key(_stage: Stage) -> None:
    try:
        call("request_key", b"user", b"matrix-none", None, 0)
    except OSError as error:
        if error.errno != errno.ENOKEY:
            raise


def _keyctl(_stage: Stage) -> None:
    call("keyctl", 0, -2, 1, 0, 0)  # KEYCTL_GET_KEYRING_ID, make it


def _seize(stage: Stage) -> None:
    call("ptrace", 0x4206, stage.shared["victim"], 0, 0)


def _vector(address: int, size: int) -> bytes:
    return struct.pack("=QQ", address, size)


def _program_start() -> int:
    """Where the victim's program begins: it was forked from this one."""
    return int(Path("/proc/self/maps").read_text().split("-", 1)[0], 16)


def _read_memory(stage: Stage) -> None:
    buffer = ctypes.create_string_buffer(16)
    mine, theirs = _vector(ctypes.addressof(buffer), 16), _vector(_program_start(), 16)
    call("process_vm_readv", stage.shared["victim"], mine, 1, theirs, 1, 0)


def _memory_file(stage: Stage) -> None:
    with Path(f"/proc/{stage.shared['victim']}/mem").open("rb", 0) as stream:
        stream.seek(_program_start())
        stream.read(16)


def _take_descriptor(stage: Stage) -> None:
    os.close(call("pidfd_getfd", call("pidfd_open", stage.shared["victim"], 0), 0, 0))


def _setns(stage: Stage) -> None:
    call("setns", stage.shared["host_mounts"], CLONE_NEWNS)


def _files_only(_stage: Stage) -> None:
    unshare(0x400)  # CLONE_FILES


def _memory_program(_stage: Stage) -> int:
    descriptor = os.memfd_create("payload", 0)
    os.write(descriptor, Path(TRUE).read_bytes())
    return descriptor


def _memory_loader(stage: Stage) -> None:
    load(f"/proc/{os.getpid()}/fd/{_memory_program(stage)}")


def _in_shared_memory(_stage: Stage) -> None:
    copy = Path("/dev/shm/matrix-program")
    shutil.copyfile(Path(TRUE).resolve(), copy)
    copy.chmod(0o755)
    execute(copy)


def _remove_program(_stage: Stage) -> None:
    Path("/dev/shm/matrix-program").unlink(missing_ok=True)


def _library(stage: Stage) -> None:
    copy = stage.path("libmatrix.so")
    shutil.copyfile(Path("/lib/x86_64-linux-gnu/libm.so.6").resolve(), copy)
    try:
        ctypes.CDLL(str(copy))
    except OSError as error:
        raise PermissionError(errno.EACCES, str(error)) from error


_IN_TMP = program("tool", "legitimate")
_NAMESPACES = {
    "network": CLONE_NEWNET, "user": CLONE_NEWUSER, "utsname": CLONE_NEWUTS, "ipc": 0x8000000, "pid": 0x20000000,
    "cgroup": 0x2000000, "time": 0x80,
}  # fmt: skip

NEWER: dict[str, Scenario] = {
    "disallow-io-uring": Scenario(attack=_io_uring, neighbour=both(work, _descriptors)),
    "disallow-kexec": Scenario(attack=kexec, neighbour=work, evasions={"by file": _kexec_file}),
    "disallow-keyring": Scenario(
        attack=_add_key,
        neighbour=work,
        evasions={"request_key": passes(_request_key, Enforcer.BPF), "keyctl": _keyctl},
    ),
    "disallow-perf-events": Scenario(attack=perf_event, neighbour=work),
    "disallow-open-by-handle": Scenario(attack=open_by_handle, neighbour=work, setup=capability_setup),
    "disallow-ptrace": Scenario(
        attack=lambda stage: attach(stage, "victim"),
        neighbour=both(work, _own_root),
        evasions={
            "seize": _seize,
            "process_vm_readv": _read_memory,
            "/proc/<pid>/mem": passes(_memory_file, Enforcer.SECCOMP),
            "pidfd_getfd": _take_descriptor,
        },
    ),
    "disallow-create-namespaces": Scenario(
        attack=_unshare(CLONE_NEWNS),
        neighbour=both(work, _files_only, _clone(0), _thread),
        evasions={
            **{name: _unshare(flag) for name, flag in _NAMESPACES.items()},
            **{f"clone {name}": _clone(flag) for name, flag in _NAMESPACES.items() if name != "time"},
            "clone3": _clone3(CLONE_NEWNET),
            "setns": _setns,
        },
        refused=_ENOSYS,
    ),
    "disable-fileless-exec": Scenario(
        attack=lambda stage: execute(_memory_program(stage)),
        neighbour=both(work, _descriptors),
        evasions={
            "by path": lambda stage: execute(f"/proc/{os.getpid()}/fd/{_memory_program(stage)}"),
            "loader": passes(_memory_loader, Enforcer.APPARMOR),
        },
    ),
    "disable-exec-in-tmp": Scenario(
        attack=_IN_TMP.attack,
        neighbour=work,
        evasions={
            **_IN_TMP.evasions,
            "shared memory": _in_shared_memory,
            "library": passes(_library, Enforcer.BPF),
        },
        setup=_IN_TMP.setup,
        teardown=_remove_program,
    ),
    "mitigate-kernel-log-leak": Scenario(
        attack=read_log,
        neighbour=work,
        evasions={
            "/dev/kmsg": passes(lambda _stage: os.close(os.open("/dev/kmsg", os.O_RDONLY)), Enforcer.SECCOMP),
            "/proc/kmsg": passes(lambda _stage: os.close(os.open("/proc/kmsg", os.O_RDONLY)), Enforcer.SECCOMP),
        },
    ),
}


SCENARIOS: dict[str, Scenario] = {
    **NEWER,
    "disallow-access-procfs-root": Scenario(
        attack=_root_of("victim", "root"),
        neighbour=both(work, _own_root),
        evasions={"cwd": _root_of("victim", "cwd"), "a file": _read_victims_file},
    ),
    "disallow-insmod": Scenario(
        attack=finit_module,
        neighbour=work,
        evasions={"init_module": init_module, "delete_module": _delete_module},
    ),
    "disallow-load-bpf-prog": Scenario(
        attack=_load(1),
        neighbour=work,
        evasions={"tracing": _load(5), "xdp": _load(6), "cgroup": _load(8)},
    ),
    "disallow-load-all-bpf-prog": Scenario(
        attack=_load(1),
        neighbour=both(work, _map),
        evasions={"tracing": _load(5), "xdp": _load(6), "cgroup": _load(8)},
    ),
    "disallow-load-bpf-via-setsockopt": Scenario(
        attack=_attach(_SO_ATTACH_FILTER),
        neighbour=both(work, _options),
        evasions={
            "reuseport": _attach(_SO_ATTACH_REUSEPORT_CBPF),
            "stream socket": _attach(_SO_ATTACH_FILTER, kind=socket.SOCK_STREAM),
            "program": _attach(_SO_ATTACH_BPF),
            "reuseport program": _attach(_SO_ATTACH_REUSEPORT_EBPF),
        },
        setup=_load_before,
    ),
    "disallow-abuse-user-ns": Scenario(
        attack=_namespace(CLONE_NEWNS, _mount_inside),
        neighbour=work,
        evasions={"utsname": _namespace(CLONE_NEWUTS, lambda _stage: socket.sethostname("inside"))},
    ),
    "disallow-create-user-ns": Scenario(
        attack=_unshare(CLONE_NEWUSER),
        neighbour=both(work, _unshare(CLONE_NEWNS), _clone(0), _thread),
        evasions={
            "unshare with others": _unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET),
            "clone": _clone(CLONE_NEWUSER),
            "clone3": _clone3(CLONE_NEWUSER),
        },
        refused=_ENOSYS,
    ),
    "disallow-userfaultfd-creation": Scenario(
        attack=_userfaultfd(0),
        neighbour=both(work, _descriptors),
        evasions={"user mode only": _userfaultfd(1), "device": _userfaultfd_device},
    ),
    "dirty-pipe-mitigation": Scenario(attack=_splice, neighbour=both(work, _sendfile)),
    "disable-chmod-x-bit": _ways(
        _mode(0o755), "chmod", both(work, _harmless_modes),
        group=lambda stage: stage.file("mode").chmod(0o610),
        others=lambda stage: stage.file("mode").chmod(0o601),
        create=open_x_bit, mknod=_made(0o755),
    ),
    "disable-chmod-s-bit": _ways(
        _mode(0o4755), "chmod", both(work, _harmless_modes, lambda stage: stage.file("mode").chmod(0o755)),
        group=lambda stage: stage.file("mode").chmod(0o2755), create=_created(0o4755), mknod=_made(0o2755),
    ),
}  # fmt: skip

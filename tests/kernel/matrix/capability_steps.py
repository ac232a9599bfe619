# SPDX-License-Identifier: Apache-2.0
"""For each capability an operation that needs exactly it, and ways to need it otherwise."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import select
import socket
import stat
import struct
import time
from pathlib import Path

from tests.kernel.matrix.calls import (
    _LIBC,
    AT_FDCWD,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    audit_request,
    bpf_map,
    bpf_program,
    call,
    execute,
    mount,
    only,
)
from tests.kernel.matrix.scenario import Evasion, Stage, Step, passes
from varmor.catalog.capabilities import NAMES
from varmor.policy.types import Enforcer

STRANGER = 1234
"""The user that owns what root needs a capability for."""


def work(stage: Stage) -> None:
    """What every program does and no capability is needed for."""
    path = stage.path("work/file")
    path.write_text("text")
    path.chmod(0o600)
    assert path.read_text() == "text"
    path.rename(stage.path("work/other"))
    with Path("/etc/hostname").open(encoding="utf-8") as stream:
        stream.read()
    one, other = socket.socketpair()
    one.sendall(b"x")
    assert other.recv(1) == b"x"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
    os.kill(os.getpid(), 0)
    execute("/bin/true")


def strangers_file(stage: Stage, mode: int = 0o644, name: str = "stranger/file") -> Path:
    """A file of another user."""
    path = stage.file(name)
    path.chmod(mode)
    os.chown(path, STRANGER, STRANGER)
    return path


def lacking(what: str) -> OSError:
    """The error of an operation that the kernel carries out without what the capability is for."""
    return OSError(errno.EPERM, f"{what} was left out")


def _chown(stage: Stage) -> None:
    os.chown(stage.file("chown"), STRANGER, -1)


def _fchownat(stage: Stage) -> None:
    folder = os.open(stage.file("chown").parent, os.O_RDONLY)
    os.chown("chown", STRANGER, -1, dir_fd=folder)


def _dac_override(stage: Stage) -> None:
    os.open(stage.values["closed"], os.O_WRONLY)


def _dac_override_listing(stage: Stage) -> None:
    only("dac_override")
    (stage.values["closed_folder"] / "new").write_text("x")


def open_by_handle(stage: Stage) -> None:
    """Open a file by its handle, without other capabilities."""
    only("dac_read_search")
    path = stage.file("handle")
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0).ljust(136, b"\0"))
    call("name_to_handle_at", AT_FDCWD, path, handle, ctypes.create_string_buffer(4), 0)
    os.close(call("open_by_handle_at", os.open(stage.directory, os.O_RDONLY), handle, os.O_RDONLY))


def _read_closed(stage: Stage) -> None:
    only("dac_read_search")
    os.open(stage.values["closed"], os.O_RDONLY)


def _fowner(stage: Stage) -> None:
    stage.values["stranger"].chmod(0o600)


def _fowner_utime(stage: Stage) -> None:
    os.utime(stage.values["stranger"], (1, 1))


def _fsetid(stage: Stage) -> None:
    path = stage.file("group")
    os.chown(path, -1, STRANGER)
    path.chmod(0o2755)
    if not path.stat().st_mode & stat.S_ISGID:
        raise lacking("S_ISGID")


def _kill(stage: Stage) -> None:
    os.kill(stage.shared["stranger"], 0)


def _pidfd(stage: Stage) -> None:
    descriptor = call("pidfd_open", stage.shared["stranger"], 0)
    result = int(_LIBC.syscall(424, descriptor, 0, None, 0))
    if result < 0:
        raise OSError(ctypes.get_errno(), "pidfd_send_signal")


def _setgid(_stage: Stage) -> None:
    os.setgid(STRANGER)


def _setgroups(_stage: Stage) -> None:
    os.setgroups([STRANGER])


def _setuid(_stage: Stage) -> None:
    os.setuid(STRANGER)


def _setresuid(_stage: Stage) -> None:
    os.setresuid(-1, STRANGER, -1)


def _setpcap(_stage: Stage) -> None:
    call("prctl", 24, 40, 0, 0, 0)  # PR_CAPBSET_DROP


def _immutable(stage: Stage) -> None:
    with stage.file("immutable").open("rb") as stream:
        fcntl.ioctl(stream, 0x40086602, struct.pack("=q", 0x10))  # FS_IOC_SETFLAGS, FS_IMMUTABLE_FL


def _append_only(stage: Stage) -> None:
    with stage.file("append").open("rb") as stream:
        fcntl.ioctl(stream, 0x40086602, struct.pack("=q", 0x20))


def bind_low(address: str = "127.0.0.1", family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> Step:
    """Binding a port below 1024."""

    def step(_stage: Stage) -> None:
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, 81))

    return step


def _net_admin(_stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, 33, 65536)  # SO_RCVBUFFORCE


def set_link_up(_stage: Stage) -> None:
    """Set the flags of the loopback device, as ``ip link set lo up``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("=16sH14x", b"lo", 0x49))  # SIOCSIFFLAGS


def _raw(family: int, protocol: int, kind: int = socket.SOCK_RAW) -> Step:
    def step(_stage: Stage) -> None:
        socket.socket(family, kind, protocol).close()

    return step


def _mlock(_stage: Stage) -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    page = ctypes.create_string_buffer(4096)
    call("mlock", ctypes.addressof(page), 4096)


def _shm_lock(stage: Stage) -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    number = call("shmget", 0, 4096, 0o600)
    stage.values["own_shm"] = number
    try:
        call("shmctl", number, 11, 0)  # SHM_LOCK
    finally:
        call("shmctl", number, 0, 0)


def _ipc_owner(stage: Stage) -> None:
    call("shmat", stage.shared["shm"], 0, 0o10000)  # SHM_RDONLY


def _delete_module(_stage: Stage) -> None:
    try:
        call("delete_module", b"varmor_none", os.O_NONBLOCK)
    except FileNotFoundError:
        return


def finit_module(stage: Stage) -> None:
    """Load a module from its file; one that is loaded already counts too, the kernel asks for the right before."""
    try:
        call("finit_module", stage.shared["module"], b"", stage.shared["module_flags"])
    except FileExistsError:
        return


def init_module(_stage: Stage) -> None:
    """Load a module that is none."""
    image = ctypes.create_string_buffer(b"\x7fELF" + bytes(124))
    try:
        call("init_module", image, 128, b"")
    except OSError as error:
        if error.errno not in (errno.ENOEXEC, errno.EINVAL, errno.EBADMSG):
            raise


def _ioperm(_stage: Stage) -> None:
    call("ioperm", 0x80, 1, 1)


def _iopl(_stage: Stage) -> None:
    call("iopl", 3)


def _kcore(_stage: Stage) -> None:
    os.close(os.open("/proc/kcore", os.O_RDONLY))


def _chroot(_stage: Stage) -> None:
    os.chroot("/")


def _setns_mount(stage: Stage) -> None:
    call("setns", stage.shared["host_mounts"], CLONE_NEWNS)


def read_environ(stage: Stage) -> None:
    """Read the environment of another user's process."""
    Path(f"/proc/{stage.shared['stranger']}/environ").read_bytes()


def attach(stage: Stage, name: str = "stranger") -> None:
    """Trace a process, and let it go again."""
    pid = stage.shared[name]
    call("ptrace", 16, pid, 0, 0)
    os.waitpid(pid, 0x40000000)
    call("ptrace", 17, pid, 0, 0)


def _acct(_stage: Stage) -> None:
    call("acct", None)


def _sethostname(_stage: Stage) -> None:
    socket.sethostname(socket.gethostname())


def _mount_tmpfs(stage: Stage) -> None:
    mount("none", stage.folder("mnt"), "tmpfs")


def _reboot(_stage: Stage) -> None:
    call("reboot", 0xFEE1DEAD, 672274793, 0, 0)  # LINUX_REBOOT_CMD_CAD_OFF


def kexec(_stage: Stage) -> None:
    """Load a kernel of no segments."""
    call("kexec_load", 0, 0, None, 0)  # no segments: forget what is loaded


def _nice(_stage: Stage) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, -5)


def _realtime(_stage: Stage) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _raise_limit(_stage: Stage) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError as error:  # Python's word for EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def _oom_score(_stage: Stage) -> None:
    Path("/proc/self/oom_score_adj").write_text("-500")


def _settimeofday(_stage: Stage) -> None:
    call("settimeofday", None, bytes(8))


def _clock_settime(_stage: Stage) -> None:
    time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))


def _adjtimex(_stage: Stage) -> None:
    tick = struct.pack("=I", 0x4000).ljust(88, b"\0") + struct.pack("=q", 10000)  # ADJ_TICK
    call("adjtimex", ctypes.create_string_buffer(tick.ljust(208, b"\0")))


def _vhangup(_stage: Stage) -> None:
    os.setsid()
    call("vhangup")


def _mknod(stage: Stage) -> None:
    stage.path("null").unlink(missing_ok=True)
    os.mknod(stage.path("null"), stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _mknod_block(stage: Stage) -> None:
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(1, 0), dir_fd=os.open(stage.directory, os.O_RDONLY))


def _lease(stage: Stage) -> None:
    descriptor = os.open(stage.values["stranger"], os.O_RDONLY)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def _audit_write(_stage: Stage) -> None:
    audit_request(1105, b"op=test")  # AUDIT_USER_START


def _audit_control(_stage: Stage) -> None:
    audit_request(1000)  # AUDIT_GET


def _audit_read(_stage: Stage) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as sock:
        sock.bind((0, 1))  # AUDIT_NLGRP_READLOG


def _setfcap(stage: Stage) -> None:
    value = struct.pack("=5I", 0x02000000, 1 << 10, 0, 0, 0)
    os.setxattr(stage.file("capable"), "security.capability", value)


def _mac_admin(_stage: Stage) -> None:
    try:
        Path("/sys/kernel/security/apparmor/.replace").write_bytes(b"no profile")
    except OSError as error:
        if error.errno not in (errno.EPROTO, errno.EPROTONOSUPPORT, errno.EINVAL, errno.ENOENT):
            raise


def read_log(_stage: Stage) -> None:
    """Ask for the kernel's log, without other capabilities."""
    only("syslog")
    call("syslog", 9, None, 0)  # SYSLOG_ACTION_SIZE_UNREAD


def _kmsg(_stage: Stage) -> None:
    only("syslog")
    os.close(os.open("/dev/kmsg", os.O_RDONLY))


def _wake_alarm(_stage: Stage) -> None:
    os.close(call("timerfd_create", 9, 0))  # CLOCK_BOOTTIME_ALARM


def _block_suspend(_stage: Stage) -> None:
    wakeup = 1 << 29
    poll, (read, _write) = select.epoll(), os.pipe()
    poll.register(read, select.EPOLLIN | wakeup)
    found = Path(f"/proc/self/fdinfo/{poll.fileno()}").read_text().split("events:")[1].split()[0]
    if not int(found, 16) & wakeup:
        raise lacking("EPOLLWAKEUP")


def perf_event(_stage: Stage) -> None:
    """Open a performance counter of a whole processor."""
    attributes = struct.pack("=IIQ", 1, 112, 0).ljust(112, b"\0")
    os.close(call("perf_event_open", attributes, -1, 0, -1, 0))


def _perfmon(stage: Stage) -> None:
    only("perfmon")
    perf_event(stage)


def _bpf(_stage: Stage) -> None:
    only("bpf")
    os.close(bpf_program())


def _bpf_map(_stage: Stage) -> None:
    only("bpf")
    os.close(bpf_map())


def _checkpoint_restore(_stage: Stage) -> None:
    only("checkpoint_restore")
    path = Path("/proc/sys/kernel/ns_last_pid")
    path.write_text(path.read_text())


def _map_files(_stage: Stage) -> None:
    only("checkpoint_restore")
    names = list(Path("/proc/self/map_files").iterdir())
    os.close(os.open(names[0], os.O_RDONLY))


def _idle(_stage: Stage) -> None:
    """The kernel asks for this capability nowhere, so there is nothing to try."""


OPERATIONS: dict[str, Step] = {
    "chown": _chown,
    "dac_override": _dac_override,
    "dac_read_search": open_by_handle,
    "fowner": _fowner,
    "fsetid": _fsetid,
    "kill": _kill,
    "setgid": _setgid,
    "setuid": _setuid,
    "setpcap": _setpcap,
    "linux_immutable": _immutable,
    "net_bind_service": bind_low(),
    "net_broadcast": _idle,
    "net_admin": _net_admin,
    "net_raw": _raw(socket.AF_PACKET, 0),
    "ipc_lock": _mlock,
    "ipc_owner": _ipc_owner,
    "sys_module": _delete_module,
    "sys_rawio": _ioperm,
    "sys_chroot": _chroot,
    "sys_ptrace": read_environ,
    "sys_pacct": _acct,
    "sys_admin": _sethostname,
    "sys_boot": _reboot,
    "sys_nice": _nice,
    "sys_resource": _raise_limit,
    "sys_time": _settimeofday,
    "sys_tty_config": _vhangup,
    "mknod": _mknod,
    "lease": _lease,
    "audit_write": _audit_write,
    "audit_control": _audit_control,
    "setfcap": _setfcap,
    "mac_override": _idle,
    "mac_admin": _mac_admin,
    "syslog": read_log,
    "wake_alarm": _wake_alarm,
    "block_suspend": _block_suspend,
    "audit_read": _audit_read,
    "perfmon": _perfmon,
    "bpf": _bpf,
    "checkpoint_restore": _checkpoint_restore,
}
assert tuple(OPERATIONS) != () and set(OPERATIONS) == set(NAMES)

OTHER_WAYS: dict[str, dict[str, Step | Evasion]] = {
    "chown": {"fchownat": _fchownat},
    "dac_override": {"in a closed directory": _dac_override_listing},
    "dac_read_search": {"reading": _read_closed},
    "fowner": {"utime": _fowner_utime},
    "kill": {"pidfd": _pidfd},
    "setgid": {"setgroups": _setgroups},
    "setuid": {"setresuid": _setresuid},
    "linux_immutable": {"append only": _append_only},
    "net_bind_service": {
        "ipv6": bind_low("::1", socket.AF_INET6),
        "udp": bind_low("127.0.0.1", socket.AF_INET, socket.SOCK_DGRAM),
    },
    "net_admin": {"ioctl": set_link_up},
    "net_raw": {
        "ipv4": _raw(socket.AF_INET, 1),
        "ipv6": _raw(socket.AF_INET6, 58),
        "datagrams": _raw(socket.AF_PACKET, 0, socket.SOCK_DGRAM),
    },
    "ipc_lock": {"shmctl": _shm_lock},
    "sys_module": {"finit_module": finit_module, "init_module": init_module},
    "sys_rawio": {"iopl": _iopl, "kcore": passes(_kcore, Enforcer.SECCOMP)},
    "sys_chroot": {"setns": passes(_setns_mount, Enforcer.SECCOMP)},
    "sys_ptrace": {"attach": attach},
    "sys_admin": {"mount": _mount_tmpfs},
    "sys_boot": {"kexec": kexec},
    "sys_nice": {"real time": _realtime},
    "sys_resource": {"oom score": _oom_score},
    "sys_time": {"clock_settime": _clock_settime, "adjtimex": passes(_adjtimex, Enforcer.SECCOMP)},
    "mknod": {"block device": _mknod_block},
    "syslog": {"kmsg": passes(_kmsg, Enforcer.SECCOMP)},
    "bpf": {"map": _bpf_map},
    "checkpoint_restore": {"map_files": _map_files},
}

IN_NAMESPACE: dict[str, tuple[int, Step]] = {
    "net_admin": (CLONE_NEWNET, set_link_up),
    "net_raw": (CLONE_NEWNET, _raw(socket.AF_PACKET, 0)),
    "sys_chroot": (CLONE_NEWNS, _chroot),
    "sys_admin": (CLONE_NEWUTS, _sethostname),
}

IDLE = {
    "net_broadcast": "the kernel has no user of this capability",
    "mac_override": "only Smack asks for this capability, and stock kernels run AppArmor",
}

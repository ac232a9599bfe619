# SPDX-License-Identifier: Apache-2.0
"""Events from bytes."""

from __future__ import annotations

import ctypes
from ipaddress import ip_address

import pytest

from varmor.kernel.bpf.events import NewSocket, OtherProcess, decode, slot_of
from varmor.kernel.bpf.layout import EventHeader, Hook, Reason, Verdict
from varmor.profile.types import Access, PtracePermission, SocketProtocol


def _record(hook: int, argument: int, text: bytes = b"", address: bytes = b"", verdict: int = 1) -> bytes:
    header = EventHeader(
        time=5,
        cgroup=6,
        argument=argument,
        tgid=10,
        tid=11,
        uid=12,
        workload=3,
        slot=4,
        mount_namespace=9,
        hook=hook,
        verdict=verdict,
        text_length=len(text),
        comm=b"cat",
    )
    ctypes.memmove(header.address, address.ljust(16, b"\0"), 16)
    return bytes(header) + text


def test_path() -> None:
    event = decode(_record(Hook.FILE_OPEN, int(Access.READ), b"/etc/shadow"), "varmor-x")
    assert event is not None
    assert (event.path, event.access, event.denied, event.slot) == ("/etc/shadow", Access.READ, True, "varmor-x")
    assert (event.boot_ns, event.cgroup_id, event.tgid, event.tid, event.uid) == (5, 6, 10, 11, 12)
    assert (event.workload, event.mount_namespace, event.comm, event.reason) == (3, 9, "cat", Reason.RULE)


def test_text_is_cut_at_its_length() -> None:
    event = decode(_record(Hook.EXEC, 8, b"/bin/sh") + b"padding", "")
    assert event is not None
    assert event.path == "/bin/sh"


def test_path_that_is_not_unicode() -> None:
    event = decode(_record(Hook.FILE_OPEN, 1, b"/\xff"), "")
    assert event is not None
    assert event.path == r"/\xff"


def test_capability() -> None:
    event = decode(_record(Hook.CAPABLE, 21, verdict=Verdict.AUDIT), "")
    assert event is not None
    assert (event.capability, event.path, event.access, event.denied) == (21, "", Access(0), False)


def test_addresses() -> None:
    four = decode(_record(Hook.CONNECT, 4 << 16 | 443, address=bytes((169, 254, 169, 254))), "")
    six = decode(_record(Hook.SENDMSG, 6 << 16 | 53, address=ip_address("fd00::1").packed), "")
    assert four is not None
    assert six is not None
    assert (four.address, four.port) == (ip_address("169.254.169.254"), 443)
    assert (six.address, six.port) == (ip_address("fd00::1"), 53)


def test_mount() -> None:
    event = decode(_record(Hook.MOUNT, 4096, b"/etc", b"none"), "")
    assert event is not None
    assert (event.path, event.fstype, event.mount_flags, event.access) == ("/etc", "none", 4096, Access(0))


def test_mount_with_its_target() -> None:
    event = decode(_record(Hook.MOVE_MOUNT, 8192, b"/mnt\0/etc", b"none"), "")
    assert event is not None
    assert (event.target, event.path) == ("/mnt", "/etc")


def test_socket() -> None:
    event = decode(_record(Hook.SOCKET, 2 << 32 | 3 << 16 | 6), "")
    assert event is not None
    assert event.socket == NewSocket(2, 3, SocketProtocol.TCP | SocketProtocol.UDP)
    assert (event.path, event.access, event.process, event.operation) == ("", Access(0), None, "")


def test_looking_into_a_process() -> None:
    event = decode(_record(Hook.PTRACE, 4 << 32 | 1234), "")
    assert event is not None
    assert event.process == OtherProcess(PtracePermission.TRACED_BY, 1234)


@pytest.mark.parametrize(
    ("bit", "name"), [(1, "userns_create"), (0x80, "block_device_open"), (1 << 31, "operation-0x80000000")]
)
def test_operation(bit: int, name: str) -> None:
    event = decode(_record(Hook.OPERATION, bit), "")
    assert event is not None
    assert (event.operation, event.path) == (name, "")


def test_what_is_no_event() -> None:
    assert decode(b"short", "") is None
    assert decode(_record(200, 0), "") is None
    assert slot_of(b"short") == 0
    assert slot_of(_record(1, 0)) == 4

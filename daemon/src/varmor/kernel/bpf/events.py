# SPDX-License-Identifier: Apache-2.0
"""Events of the BPF enforcer, as values."""

from __future__ import annotations

import ctypes
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from varmor.kernel.bpf.layout import EventHeader, Hook, Reason, Verdict
from varmor.profile.tables import SWITCHES
from varmor.profile.types import Access, PtracePermission, SocketProtocol

_NO_ACCESS = Access(0)
_CONNECTIONS = (Hook.CONNECT, Hook.SENDMSG)
_MOUNTS = (Hook.MOUNT, Hook.MOVE_MOUNT, Hook.UMOUNT)
_WITHOUT_PATH = (*_CONNECTIONS, Hook.CAPABLE, Hook.SECCOMP, Hook.SOCKET, Hook.PTRACE, Hook.OPERATION)
_CALL_ARGUMENTS = struct.Struct("=6Q")


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that a seccomp filter refused: ``number`` in the tables of ``architecture`` (an audit architecture, as
    ``0xc000003e``), its six arguments, and the error that the caller got (0: the signal SIGSYS instead).
    """

    number: int
    architecture: int
    arguments: tuple[int, ...]
    error: int


@dataclass(frozen=True, slots=True)
class NewSocket:
    """A socket that was asked for: the numbers of AF_ and SOCK_, and the protocols that it can speak."""

    domain: int
    type: int
    protocols: SocketProtocol


@dataclass(frozen=True, slots=True)
class OtherProcess:
    """Looking into a process: the act as the rules of the event's workload see it, and the process (its number in the
    first pid namespace) that is not the one that made the event. Of ``TRACED_BY`` and ``READ_BY`` the event's own
    process is the one that looks, and this one is looked into, but for PTRACE_TRACEME, where it is the other way round.
    """

    act: PtracePermission
    tgid: int


@dataclass(frozen=True, slots=True)
class BpfEvent:
    """A request that was denied, or let pass and recorded.

    ``boot_ns`` are nanoseconds since boot, suspend included (CLOCK_BOOTTIME). ``workload`` is the number that was given
    at binding, ``slot`` the name of the profile (empty when it has gone meanwhile). What does not belong to the hook is
    empty: ``path`` and ``access`` belong to file hooks, ``path`` (the source), ``target``, ``fstype`` and
    ``mount_flags`` to mounts, ``capability``, ``address`` and ``port``, ``socket``, ``process``, ``call`` to theirs;
    ``operation`` is a name of :data:`varmor.profile.tables.SWITCHES`.
    """

    boot_ns: int
    tgid: int
    tid: int
    uid: int
    comm: str
    workload: int
    slot: str
    cgroup_id: int
    mount_namespace: int
    hook: Hook
    verdict: Verdict
    reason: Reason = Reason.RULE
    path: str = ""
    access: Access = _NO_ACCESS
    capability: int | None = None
    address: IPv4Address | IPv6Address | None = None
    port: int = 0
    fstype: str = ""
    mount_flags: int = 0
    call: RefusedCall | None = None
    target: str = ""
    socket: NewSocket | None = None
    process: OtherProcess | None = None
    operation: str = ""

    @property
    def denied(self) -> bool:
        """Whether the request was refused."""
        return self.verdict is Verdict.DENIED


@dataclass(frozen=True, slots=True)
class Withheld:
    """Events beyond the limit of a workload: of requests that were denied, and of others."""

    denied: int
    audit: int


def decode(record: bytes, slot_name: str) -> BpfEvent | None:
    """An event from its bytes, None when they are not one (a newer program's)."""
    if len(record) < ctypes.sizeof(EventHeader):
        return None
    header = EventHeader.from_buffer_copy(record)
    try:
        hook, verdict, reason = Hook(header.hook), Verdict(header.verdict), Reason(header.reason)
    except ValueError:
        return None
    start = ctypes.sizeof(EventHeader)
    content = record[start : start + header.text_length]
    call = _refused_call(header, content) if hook is Hook.SECCOMP else None
    text = "" if call else content.decode("utf-8", "backslashreplace")
    target = ""
    if hook in _MOUNTS and "\0" in text:
        target, _, text = text.partition("\0")
    is_path = hook not in (*_WITHOUT_PATH, *_MOUNTS)
    address: IPv4Address | IPv6Address | None = None
    if hook in _CONNECTIONS:
        raw = bytes(header.address)
        address = IPv4Address(raw[:4]) if header.argument >> 16 == 4 else IPv6Address(raw)
    return BpfEvent(
        boot_ns=header.time,
        tgid=header.tgid,
        tid=header.tid,
        uid=header.uid,
        comm=header.comm.decode("utf-8", "backslashreplace"),
        workload=header.workload,
        slot=slot_name,
        cgroup_id=header.cgroup,
        mount_namespace=header.mount_namespace,
        hook=hook,
        verdict=verdict,
        reason=reason,
        path=text,
        access=Access(header.argument & 0xFF) if is_path else _NO_ACCESS,
        capability=int(header.argument) if hook is Hook.CAPABLE else None,
        address=address,
        port=int(header.argument & 0xFFFF) if hook in _CONNECTIONS else 0,
        fstype=bytes(header.address).rstrip(b"\0").decode(errors="replace") if hook in _MOUNTS else "",
        mount_flags=int(header.argument) if hook in _MOUNTS else 0,
        call=call,
        target=target,
        socket=_new_socket(header.argument) if hook is Hook.SOCKET else None,
        process=_other_process(header.argument) if hook is Hook.PTRACE else None,
        operation=_operation(header.argument) if hook is Hook.OPERATION else "",
    )


def _new_socket(argument: int) -> NewSocket:
    return NewSocket(argument >> 32, argument >> 16 & 0xFFFF, SocketProtocol(argument & 0x1F))


def _other_process(argument: int) -> OtherProcess:
    return OtherProcess(PtracePermission(argument >> 32 & 0xF), argument & 0xFFFFFFFF)


def _operation(argument: int) -> str:
    return next((name for name, bit in SWITCHES.items() if bit & argument), f"operation-{argument:#x}")


def _refused_call(header: EventHeader, content: bytes) -> RefusedCall:
    return RefusedCall(
        number=header.argument & 0xFFFFFFFF,
        architecture=int.from_bytes(bytes(header.address)[:4], sys.byteorder),
        arguments=_CALL_ARGUMENTS.unpack(content[: _CALL_ARGUMENTS.size].ljust(_CALL_ARGUMENTS.size, b"\0")),
        error=header.argument >> 32,
    )


def slot_of(record: bytes) -> int:
    """The slot number in an event's bytes, 0 when they are not one."""
    if len(record) < ctypes.sizeof(EventHeader):
        return 0
    return EventHeader.from_buffer_copy(record).slot

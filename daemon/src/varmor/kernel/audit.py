# SPDX-License-Identifier: Apache-2.0
"""The kernel's audit records, from the netlink multicast group that every reader may join.

It works beside auditd and without it, and while ``audit_enabled`` is 0: that decides about syscall auditing only,
AppArmor and seccomp write their records all the same. Only ``audit=0`` on the kernel's command line ends them.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from varmor.errors import VarmorError
from varmor.kernel.audit_record import TYPE_AVC, TYPE_SECCOMP, AuditRecord, record
from varmor.kernel.support import YES, Support, no

_NETLINK_AUDIT = 9
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_GROUP_READLOG = 1
_AUDIT_GET, _AUDIT_SET = 1000, 1001
_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK = 1, 4
_STATUS_BACKLOG_LIMIT = 0x0010
_HEADER = struct.Struct("=IHHII")
_STATUS = struct.Struct("=11I")
_LONGEST_MESSAGE = 16384
_CMDLINE = Path("/proc/cmdline")
_LOG = logging.getLogger(__name__)

BUFFER_BYTES = 32 << 20
"""The socket's receive buffer: with the default one, half of 100 000 records in a burst were lost."""

BACKLOG_LIMIT = 8192
"""Records that the kernel keeps while they wait. AppArmor's are dropped when the queue is full (Linux's default
is 64), seccomp's hold the process up."""

INTERESTING = frozenset({TYPE_AVC, TYPE_SECCOMP})


class AuditError(VarmorError):
    """The kernel refused something about auditing."""


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """The audit system's own state: ``enabled`` 0, 1 or 2 (locked), ``lost`` records since boot."""

    enabled: int
    pid: int
    rate_limit: int
    backlog_limit: int
    lost: int
    backlog: int


class AuditStream:
    """Reads records without blocking; ``fd()`` becomes readable when there are some."""

    def __init__(self, types: Iterable[int] = INTERESTING) -> None:
        self._types = frozenset(types)
        self._overruns = 0
        self._kernel_lost = 0
        self._lost_before = 0
        self._socket: socket.socket | None = None

    def start(self) -> list[str]:
        """Join the group, and make the kernel's queue large enough; what was changed or could not be, in words.

        Raises:
            AuditError: the group cannot be joined.
        """
        sock = _open()
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
            sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, struct.pack("=I", _GROUP_READLOG))
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            raise AuditError(f"the audit records cannot be read: {error}; CAP_AUDIT_READ is needed") from error
        self._socket = sock
        return self._widen_queue()

    def fd(self) -> int:
        """The descriptor to wait for."""
        return self._started().fileno()

    def read(self, limit: int = 1024) -> list[AuditRecord]:
        """At most ``limit`` records that wait now, in the kernel's order. Overruns are counted in :attr:`lost`."""
        sock = self._started()
        found: list[AuditRecord] = []
        for _ in range(limit):
            try:
                data = sock.recv(_LONGEST_MESSAGE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise AuditError(f"the audit socket cannot be read: {error}") from error
                self._overruns += 1
                continue
            parsed = self._record(data)
            if parsed is not None:
                found.append(parsed)
        return found

    @property
    def lost(self) -> int:
        """Losses since the start: overruns of our socket (each at least one record) and what the kernel dropped
        as of the last :meth:`count_losses`.
        """
        return self._overruns + self._kernel_lost

    def count_losses(self) -> int:
        """Ask the kernel for its own count of dropped records; :attr:`lost`. When it does not answer, what it said
        last stands.
        """
        try:
            self._kernel_lost = max(0, audit_status().lost - self._lost_before)
        except AuditError as error:
            _LOG.debug("%s", error)
        return self.lost

    def close(self) -> None:
        """Leave the group."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _started(self) -> socket.socket:
        if self._socket is None:
            raise AuditError("the audit stream was not started")
        return self._socket

    def _record(self, data: bytes) -> AuditRecord | None:
        if len(data) < _HEADER.size:
            return None
        _length, type_, _flags, _sequence, _pid = _HEADER.unpack_from(data)
        if type_ not in self._types:
            return None
        return record(type_, data[_HEADER.size :].decode("utf-8", "replace"))

    def _widen_queue(self) -> list[str]:
        try:
            status = audit_status()
            self._lost_before = status.lost
            messages = []
            if 0 < status.backlog_limit < BACKLOG_LIMIT:
                set_backlog_limit(BACKLOG_LIMIT)
                messages.append(f"audit backlog limit raised from {status.backlog_limit} to {BACKLOG_LIMIT}")
            if status.rate_limit:
                messages.append(f"audit passes {status.rate_limit} records a second at most (auditctl -r)")
        except AuditError as error:
            return [f"the audit queue stays as it is: {error}"]
        return messages


def supported() -> Support:
    """Whether AppArmor's and seccomp's records can be read on this node."""
    if _switched_off():
        return no("auditing is switched off on the kernel's command line (audit=0); remove it and reboot")
    try:
        with _open() as sock:
            sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, struct.pack("=I", _GROUP_READLOG))
    except AuditError as error:
        return no(str(error))
    except OSError as error:
        return no(f"the audit records cannot be read: {error}; CAP_AUDIT_READ is needed")
    return YES


def audit_status() -> AuditStatus:
    """Ask the kernel (AUDIT_GET).

    Raises:
        AuditError: it refused; CAP_AUDIT_CONTROL is needed.
    """
    payload = _request(_AUDIT_GET, b"")
    if len(payload) < 40:
        raise AuditError(f"audit status has {len(payload)} bytes; expected at least 40")
    _mask, enabled, _failure, pid, rate, limit, lost, backlog = struct.unpack_from("=8I", payload)
    return AuditStatus(enabled, pid, rate, limit, lost, backlog)


def set_backlog_limit(limit: int) -> None:
    """Set the number of records that the kernel keeps while they wait (AUDIT_SET).

    Raises:
        AuditError: it refused, for example because the configuration is locked (``auditctl -e 2``).
    """
    values = [0] * 11
    values[0], values[5] = _STATUS_BACKLOG_LIMIT, limit
    _request(_AUDIT_SET, _STATUS.pack(*values))


def _request(type_: int, payload: bytes) -> bytes:
    """Send one request; the payload of the answer (empty for a mere acknowledgement)."""
    sock = _open()
    try:
        sock.settimeout(5)
        header = _HEADER.pack(_HEADER.size + len(payload), type_, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
        sock.sendto(header + payload, (0, 0))
        while True:
            data = sock.recv(_LONGEST_MESSAGE)
            _length, kind, *_rest = _HEADER.unpack_from(data)
            if kind == _AUDIT_GET:
                return data[_HEADER.size :]
            if kind == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", data, _HEADER.size)[0]
                if code:
                    raise AuditError(f"audit request {type_}: {os.strerror(code)}")
                if type_ != _AUDIT_GET:
                    return b""
    except OSError as error:
        raise AuditError(f"audit request {type_}: {error}") from error
    finally:
        sock.close()


def _open() -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)
        sock.bind((0, 0))
    except OSError as error:
        raise AuditError(f"no audit socket: {error}; is the kernel built with CONFIG_AUDIT?") from error
    return sock


def _switched_off() -> bool:
    try:
        words = _CMDLINE.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    settings = [word.removeprefix("audit=") for word in words if word.startswith("audit=")]
    return bool(settings) and settings[-1] in ("0", "off")

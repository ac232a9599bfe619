# SPDX-License-Identifier: Apache-2.0
"""Audit records as values: the raw record, and what it says about seccomp.

AppArmor's records are read in :mod:`varmor.kernel.audit_apparmor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from varmor.errors import VarmorError

TYPE_AVC = 1400
TYPE_SECCOMP = 1326

RET_LOG = 0x7FFC0000
_RET_ACTION = 0xFFFF0000
_ACTIONS = {
    0x80000000: "kill_process",
    0x00000000: "kill_thread",
    0x00030000: "trap",
    0x00050000: "errno",
    0x7FC00000: "user_notif",
    0x7FF00000: "trace",
    RET_LOG: "log",
}
_HEADER = re.compile(r"audit\((\d{1,12})\.(\d{3}):(\d{1,20})\):\s*")
_FIELD = re.compile(r'([A-Za-z_][A-Za-z0-9_-]*)=("[^"]*"|\S*)')
_HEX = re.compile(r"(?:[0-9A-F]{2})+")
_TEXT_FIELDS = frozenset({"comm", "exe"})
_ENRICHED = "\x1d"


class AuditRecordError(VarmorError):
    """A record of a known type that cannot be read."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record of the kernel. ``timestamp`` in seconds since the epoch; ``body`` is what follows the header."""

    type: int
    timestamp: float
    serial: int
    body: str

    @property
    def audit_id(self) -> str:
        """The record's identity as audit tools print it: ``1700000000.123:45``."""
        return f"{self.timestamp:.3f}:{self.serial}"


@dataclass(frozen=True, slots=True)
class SeccompRecord:
    """A call that a filter refused or recorded. ``action`` is ``errno``, ``log``, ``kill_process`` ...; the kernel does
    not say which error number was returned. ``syscall`` is the name where libseccomp knows the number, else
    ``syscall_N``.
    """

    audit_id: str
    timestamp: float
    pid: int
    uid: int
    comm: str
    exe: str
    subject: str
    syscall: str
    arch: int
    action: str


def record(type_: int, text: str) -> AuditRecord | None:
    """Split a message into header and body; None when it has no header."""
    header = _HEADER.match(text)
    if header is None:
        return None
    seconds, milliseconds, serial = header.groups()
    body = text[header.end() :].split(_ENRICHED, 1)[0].rstrip("\n\0")
    return AuditRecord(type_, int(seconds) + int(milliseconds) / 1000, int(serial), body)


def fields(body: str) -> Iterator[tuple[str, str]]:
    """The ``key=value`` pairs of a body in order; text values unquoted, hexadecimal ones decoded."""
    for key, value in _FIELD.findall(body):
        yield key, plain(key, value)


def plain(key: str, value: str) -> str:
    """A value as text: quotes dropped, the kernel's hexadecimal form of untrusted text decoded."""
    if value.startswith('"'):
        return value.strip('"')
    if key in _TEXT_FIELDS and _HEX.fullmatch(value):
        return bytes.fromhex(value).decode("utf-8", "backslashreplace")
    return value


def seccomp_record(raw: AuditRecord) -> SeccompRecord:
    """Read a record of type 1326.

    Raises:
        AuditRecordError: a field is missing or not a number.
    """
    values = dict(fields(raw.body))
    try:
        arch, number, code = int(values["arch"], 16), int(values["syscall"]), int(values["code"], 16)
        return SeccompRecord(
            audit_id=raw.audit_id,
            timestamp=raw.timestamp,
            pid=int(values["pid"]),
            uid=int(values.get("uid", "-1")),
            comm=values.get("comm", ""),
            exe=values.get("exe", ""),
            subject=values.get("subj", ""),
            syscall=syscall_name(arch, number),
            arch=arch,
            action=_ACTIONS.get(code & _RET_ACTION, f"{code:#x}"),
        )
    except (KeyError, ValueError) as error:
        raise AuditRecordError(f"seccomp record {raw.audit_id}: {error!r} in {raw.body!r}") from error


def syscall_name(arch: int, number: int) -> str:
    """Name of a syscall by audit architecture (``0xc000003e``) and number."""
    library = _libseccomp()
    if library is not None:
        try:
            name = library.resolve_syscall(arch - (1 << 32) if arch >> 31 else arch, number)  # it wants an int32
        except (ValueError, OverflowError, RuntimeError):
            name = b""
        if name:
            return str(name.decode("ascii") if isinstance(name, bytes) else name)
    return f"syscall_{number}"


def _libseccomp() -> ModuleType | None:
    """The binding of libseccomp, None where neither form of it is installed."""
    try:
        import seccomp  # noqa: PLC0415  a node without it still reads the rest
    except ImportError:
        try:
            import pyseccomp as seccomp  # noqa: PLC0415
        except ImportError:
            return None
    return seccomp if isinstance(seccomp, ModuleType) else None

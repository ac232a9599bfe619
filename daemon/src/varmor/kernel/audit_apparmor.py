# SPDX-License-Identifier: Apache-2.0
"""AppArmor's audit records, read by libapparmor behind one adapter.

libapparmor's grammar is older than some kernels: a single key that it does not know (``class=`` since Linux 6.5,
``execpath=``) makes it drop the rest of the record, or all of it. The adapter hands it the keys that it knows,
under the names that it knows, and keeps the others in ``extra``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from varmor.errors import VarmorError
from varmor.kernel.audit_record import AuditRecord, AuditRecordError

_TOKEN = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_-]*)=("[^"]*"|\S*)')
_PADDED = re.compile(r"=\s+(?=\d)")  # the kernel pads `capability=21`, and older ones `ouid= 0`
_RENAMED = {"requested": "requested_mask", "denied": "denied_mask"}
_KNOWN_NAMES = (
    "apparmor operation profile name name2 target info error namespace comm pid peer_pid requested_mask denied_mask"
    " fsuid ouid family sock_type protocol laddr lport faddr fport saddr src dest peer peer_profile peer_info"
    " peer_label capability capname fstype srcname src_name flags signal parent attribute magic_token task bus path"
    " interface member label mask offset"
)
_KNOWN = frozenset(_KNOWN_NAMES.split())
_EVENTS = {"DENIED": "DENIED", "AUDIT": "AUDIT", "ALLOWED": "ALLOWED", "KILLED": "DENIED"}
_UNSET_ID = (1 << 64) - 1
_CORE = frozenset({"apparmor", "operation", "profile", "name", "comm", "pid", "requested_mask", "denied_mask"})
_NOT_UNDERSTOOD = frozenset({0, 1})  # AA_RECORD_INVALID, AA_RECORD_ERROR
_STATUS = frozenset({"STATUS", "HINT", "ERROR"})

# Names of libapparmor's struct -> names in violations.log (upstream's spelling).
_SPELLING = {
    "audit_id": "auditID",
    "audit_sub_id": "auditSubID",
    "bitmask": "bitMask",
    "denied_mask": "deniedMask",
    "requested_mask": "requestedMask",
    "peer_pid": "peerPID",
    "magic_token": "magicToken",
    "peer_profile": "peerProfile",
    "peer_info": "peerInfo",
    "error_code": "errorCode",
    "active_hat": "activeHat",
    "net_family": "netFamily",
    "net_protocol": "netProtocol",
    "net_sock_type": "netSockType",
    "net_local_addr": "netLocalAddr",
    "net_local_port": "netLocalPort",
    "net_foreign_addr": "netForeignAddr",
    "net_foreign_port": "netForeignPort",
    "dbus_bus": "dbusBus",
    "dbus_path": "dbusPath",
    "dbus_interface": "dbusInterface",
    "dbus_member": "dbusMember",
    "fs_type": "fsType",
    "src_name": "srcName",
}


class LibAppArmorMissingError(VarmorError):
    """libapparmor's Python binding is not installed."""


@dataclass(frozen=True, slots=True)
class AppArmorRecord:
    """One decision of AppArmor. ``verdict`` is ``DENIED``, ``AUDIT`` or ``ALLOWED``; ``event`` has libapparmor's
    fields under the names of violations.log, unset ones left out; ``extra`` what libapparmor does not know.
    """

    audit_id: str
    timestamp: float
    verdict: str
    profile: str
    operation: str
    pid: int
    comm: str
    event: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def profile_names(self) -> tuple[str, ...]:
        """The top profiles of a stacked label: ``a//child//&b`` gives ``a`` and ``b``."""
        return tuple(part.split("//")[0] for part in self.profile.split("//&"))


def apparmor_record(raw: AuditRecord) -> AppArmorRecord | None:
    """Read a record of type 1400; None when it is not a decision of AppArmor (status lines, other modules).

    Raises:
        LibAppArmorMissingError: python3-libapparmor is not installed.
        AuditRecordError: libapparmor does not take the record even so.
    """
    known, extra = _split(raw.body)
    verdict = known.get("apparmor", "").strip('"')
    if not verdict or verdict in _STATUS:
        return None
    parsed = _parse(raw, known)
    return AppArmorRecord(
        audit_id=raw.audit_id,
        timestamp=raw.timestamp,
        verdict=_EVENTS.get(verdict, verdict),
        profile=str(parsed.get("profile", "")),
        operation=str(parsed.get("operation", "")),
        pid=int(parsed.get("pid", 0)),
        comm=str(parsed.get("comm", "")),
        event={**parsed, "event": verdict},
        extra=extra,
    )


def _split(body: str) -> tuple[dict[str, str], dict[str, str]]:
    """Tokens that libapparmor knows (raw, under its names) and the others (as text)."""
    known: dict[str, str] = {}
    extra: dict[str, str] = {}
    for key, value in _TOKEN.findall(_PADDED.sub("=", body)):
        name = _RENAMED.get(key, key)
        if name in _KNOWN:
            known.setdefault(name, value)
        else:
            extra[key] = value.strip('"')
    return known, extra


def _parse(raw: AuditRecord, known: dict[str, str]) -> dict[str, Any]:
    """By libapparmor; once more with the core fields only when a value of another one is beyond its grammar."""
    for names in (_KNOWN, _CORE):
        text = " ".join(f"{key}={value}" for key, value in known.items() if key in names)
        values = _read(f"type=AVC msg=audit({raw.audit_id}): {text}")
        if values is not None:
            return values
    raise AuditRecordError(f"AppArmor record {raw.audit_id}: libapparmor cannot read {raw.body!r}")


def _read(line: str) -> dict[str, Any] | None:
    library = _libapparmor()
    parsed = library.parse_record(line)
    if parsed is None:
        return None
    try:
        understood = parsed.event not in _NOT_UNDERSTOOD and parsed.operation
        return _values(parsed) if understood else None
    finally:
        library.free_record(parsed)


def _values(parsed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in dir(parsed):
        if name.startswith("_") or name in ("this", "thisown", "event"):
            continue
        value = getattr(parsed, name)
        if value is None or value == _UNSET_ID or (value == 0 and name not in ("fsuid", "ouid", "version")):
            continue
        values[_SPELLING.get(name, name)] = value
    return values


def _libapparmor() -> ModuleType:
    try:
        import LibAppArmor  # noqa: PLC0415  only a node that has AppArmor needs it
    except ImportError as error:
        raise LibAppArmorMissingError(
            f"AppArmor's records cannot be read: {error}; install the package `python3-libapparmor`"
        ) from error
    module: ModuleType = LibAppArmor
    return module

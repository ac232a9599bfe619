# SPDX-License-Identifier: Apache-2.0
"""From events of the BPF enforcer to violations."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import Any

from varmor.catalog import capabilities
from varmor.kernel.audit_record import syscall_name
from varmor.kernel.bpf.events import BpfEvent, NewSocket, OtherProcess, Withheld
from varmor.kernel.bpf.layout import Reason
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_origin import MOUNT_HOOKS, origin
from varmor.node.violation_record import Action, Attribution, Violation
from varmor.profile.bpf_words import DOMAINS, PROTOCOLS, TYPES
from varmor.profile.seccomp import refusal_of
from varmor.profile.types import Access, Profile, PtracePermission

_MOUNT_FLAGS = (
    (1, "ro"), (2, "nosuid"), (4, "nodev"), (8, "noexec"), (16, "sync"), (32, "remount"), (64, "mand"),
    (128, "dirsync"), (1024, "noatime"), (2048, "nodiratime"), (4096, "bind"), (8192, "move"), (16384, "rec"),
    (32768, "silent"), (1 << 16, "posixacl"), (1 << 17, "unbindable"), (1 << 18, "private"), (1 << 19, "slave"),
    (1 << 20, "shared"), (1 << 21, "relatime"), (1 << 23, "i_version"), (1 << 24, "strictatime"),
)  # fmt: skip
_PERMISSIONS = (
    (Access.READ, "read"), (Access.WRITE, "write"), (Access.APPEND, "append"), (Access.EXEC, "exec"),
    (Access.MAP, "map"),
)  # fmt: skip
_PTRACE = (
    (PtracePermission.TRACE, "trace"), (PtracePermission.READ, "read"), (PtracePermission.TRACED_BY, "traceby"),
    (PtracePermission.READ_BY, "readby"),
)  # fmt: skip
_REASONS = {
    Reason.PATH_TOO_LONG: "the path is too long to be judged",
    Reason.PATH_TOO_DEEP: "the path is too deep to be judged",
    Reason.NO_BUFFER: "no buffer was free to judge the path",
    Reason.NO_PLACE: "the file is on a mount of no mount namespace",
    Reason.ABOVE_RULE: "denied paths lie below the directory that would move",
    Reason.GAINS: "the new name allows what the old one does not",
}


class BpfViolations:
    """Makes violations of the BPF enforcer's events."""

    def __init__(self, attributor: Attributor) -> None:
        self._attributor = attributor

    def violation(self, event: BpfEvent) -> Violation | None:
        """The violation that an event tells of; None for a call that another seccomp filter than ours refused."""
        owner = self._attributor.by_number(event.workload, event.mount_namespace)
        tenant = owner.tenant if owner else None
        name = event.slot or (tenant.profile if tenant else "")
        profile = self._attributor.profile(name)
        timestamp = _wall_time(event.boot_ns)
        told = _told_by_rules(event, profile) if event.call is None else _told_by_seccomp(event, profile, timestamp)
        if told is None:
            return None
        return Violation(
            action=Action.DENIED if event.denied else Action.AUDIT,
            profile=name,
            pid=event.tgid,
            timestamp=timestamp,
            comm=event.comm,
            workload=tenant.workload if tenant else None,
            policy=self._attributor.policy(name),
            mount_namespace=event.mount_namespace,
            attribution=Attribution.KERNEL if tenant else Attribution.PROFILE,
            **told,
        )

    def withheld(self, workload: int, withheld: Withheld, limit: int) -> Iterator[Violation]:
        """What the programs only counted, as one violation for denials and one for the rest."""
        owner = self._attributor.by_number(workload)
        tenant = owner.tenant if owner else None
        name = tenant.profile if tenant else ""
        for action, count in ((Action.DENIED, withheld.denied), (Action.AUDIT, withheld.audit)):
            if count:
                yield Violation(
                    action=action,
                    profile=name,
                    pid=0,
                    timestamp=time.time(),
                    enforcer="BPF",
                    event={"operation": "rate_limit", "limit": limit},
                    key=("rate_limit", str(workload)),
                    summary=f"further events beyond {limit} a second",
                    workload=tenant.workload if tenant else None,
                    policy=self._attributor.policy(name),
                    attribution=Attribution.KERNEL if tenant else Attribution.PROFILE,
                    count=count,
                    folded=f"events beyond {limit} a second",
                )


def _told_by_rules(event: BpfEvent, profile: Profile | None) -> dict[str, Any]:
    facts = _facts(event)
    facts["rule"] = origin(event, profile.bpf) if profile is not None and profile.bpf is not None else ""
    if event.reason is not Reason.RULE:
        facts["reason"] = _REASONS.get(event.reason, event.reason.name.lower())
    return {
        "enforcer": "BPF",
        "event": {**facts, "comm": event.comm, "uid": event.uid, "tid": event.tid},
        "key": (event.comm, *(str(value) for value in facts.values())),
        "summary": _summary(event),
    }


def _told_by_seccomp(event: BpfEvent, profile: Profile | None, timestamp: float) -> dict[str, Any] | None:
    """In the form of an audit record, whose place it takes. What the kernel's hook does not see is empty."""
    call = event.call
    if call is None or profile is None or not profile.refused_syscalls:
        return None
    name = syscall_name(call.architecture, call.number)
    refusal = refusal_of(profile.refused_syscalls, name, call.arguments)
    if refusal is None:
        return None
    error = errno.errorcode.get(call.error, str(call.error)) if call.error else ""
    return {
        "enforcer": "Seccomp",
        "event": {
            "auditID": "",
            "epoch": int(timestamp),
            "subj": "",
            "pid": event.tgid,
            "comm": event.comm,
            "exe": "",
            "syscall": name,
            "action": "errno" if error else "trap",
            "errno": error,
            "rule": refusal.origin,
        },
        "key": (name, error, event.comm),
        "summary": f"syscall {name}",
    }


def _wall_time(boot_ns: int) -> float:
    """Seconds since the epoch of a moment that is given since boot."""
    return time.time() - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - boot_ns) / 1e9


def _facts(event: BpfEvent) -> dict[str, Any]:
    operation = event.operation or event.hook.name.lower()
    if event.capability is not None:
        return {"operation": operation, "capability": _capability(event.capability)}
    if event.address is not None:
        socket = {"domain": "AF_INET" if event.address.version == 4 else "AF_INET6", "type": "", "protocol": ""}
        address = {"ip": str(event.address), "port": event.port}
        return {"operation": operation, "type": "connect", "socket": socket, "address": address}
    if event.socket is not None:
        domain, kind, protocol = _socket(event.socket)
        words = {"domain": f"AF_{domain.upper()}", "type": f"SOCK_{kind.upper()}", "protocol": protocol}
        return {"operation": operation, "type": "socket", "socket": words, "address": {"ip": "", "port": 0}}
    if event.process is not None:
        return {"operation": operation, "permission": _act(event.process), "peerPID": event.process.tgid}
    if event.hook in MOUNT_HOOKS:
        flags = [name for bit, name in _MOUNT_FLAGS if event.mount_flags & bit]
        return {
            "operation": operation,
            "path": event.path,
            "target": event.target,
            "type": event.fstype,
            "flags": flags,
        }
    if event.path:
        return {"operation": operation, "permissions": _permissions(event.access), "path": event.path}
    return {"operation": operation}


def _summary(event: BpfEvent) -> str:
    words = [(event.operation or event.hook.name.lower()).replace("_", " ")]
    if event.capability is not None:
        words.append(_capability(event.capability))
    if event.address is not None:
        words.append(f"{event.address} port {event.port}")
    if event.socket is not None:
        words += _socket(event.socket)
    if event.process is not None:
        words += [_act(event.process), f"process {event.process.tgid}"]
    if event.hook in MOUNT_HOOKS:
        words += [word for word in (event.fstype, event.path) if word]
        words += ["on", event.target] if event.target else []
    elif event.path:
        words += [*_permissions(event.access), event.path]
    return " ".join(words)


def _socket(socket: NewSocket) -> tuple[str, str, str]:
    """Domain, type and protocols as ``bpfRawRules`` spell them, numbers where it has no word."""
    domain = next((name for name, number in DOMAINS.items() if number == socket.domain), str(socket.domain))
    kind = next((name for name, number in TYPES.items() if number == socket.type), str(socket.type))
    return domain, kind, ",".join(name for name, bit in PROTOCOLS.items() if bit & socket.protocols) or "other"


def _act(process: OtherProcess) -> str:
    return ",".join(name for bit, name in _PTRACE if bit & process.act)


def _permissions(access: Access) -> list[str]:
    return [name for bit, name in _PERMISSIONS if access & bit]


def _capability(number: int) -> str:
    names = capabilities.NAMES
    return f"CAP_{names[number].upper()}" if number < len(names) else f"CAP_{number}"

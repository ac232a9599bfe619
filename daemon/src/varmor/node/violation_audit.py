# SPDX-License-Identifier: Apache-2.0
"""From the kernel's audit records to violations: AppArmor and seccomp."""

from __future__ import annotations

from typing import Any

from varmor.kernel.audit_apparmor import AppArmorRecord, apparmor_record
from varmor.kernel.audit_record import TYPE_AVC, TYPE_SECCOMP, AuditRecord, SeccompRecord, seccomp_record
from varmor.kernel.profile_name import is_ours
from varmor.node.violation_attribution import Attributor, Owner
from varmor.node.violation_record import Action, Attribution, Violation
from varmor.profile.seccomp import fallback_syscalls

_EVENT_KEY = ("operation", "name", "name2", "requestedMask", "deniedMask", "netFamily", "netSockType", "netProtocol",
              "netForeignAddr", "netForeignPort", "signal", "peer", "fsType", "srcName", "flags", "info")  # fmt: skip


_SEEN_BY_BPF = ("errno", "trap")


class AuditViolations:
    """Makes violations of records.

    With ``records_seccomp`` the BPF enforcer tells what seccomp refuses to the tasks that it has bound: the kernel's
    record of the same is passed over.
    """

    def __init__(self, attributor: Attributor, *, records_seccomp: bool = False) -> None:
        self._attributor = attributor
        self._records_seccomp = records_seccomp

    def violation(self, record: AuditRecord) -> Violation | None:
        """The violation that a record tells of; None when it is none of ours.

        Raises:
            AuditRecordError: the record cannot be read.
            LibAppArmorMissingError: an AppArmor record came and libapparmor is not installed.
        """
        if record.type == TYPE_AVC and "varmor-" in record.body:
            decision = apparmor_record(record)
            return self._apparmor(decision) if decision is not None else None
        if record.type == TYPE_SECCOMP:
            return self._seccomp(seccomp_record(record))
        return None

    def _apparmor(self, record: AppArmorRecord) -> Violation | None:
        profiles = [name for name in record.profile_names if is_ours(name)]
        if not profiles:
            return None  # another profile's record, which names ours as a peer
        owner = self._attributor.by_pid(record.pid, profiles)
        profile = owner.tenant.profile if owner and owner.tenant else profiles[0]
        event = {**record.event, **{key: value for key, value in record.extra.items() if key not in record.event}}
        return self._made(
            owner,
            enforcer="AppArmor",
            action=Action(record.verdict) if record.verdict in tuple(Action) else Action.DENIED,
            profile=profile,
            pid=record.pid,
            timestamp=record.timestamp,
            comm=record.comm,
            event=event,
            key=tuple(str(record.event.get(name, "")) for name in _EVENT_KEY),
            summary=_apparmor_summary(record),
        )

    def _seccomp(self, record: SeccompRecord) -> Violation | None:
        labels = [part.split("//")[0] for part in record.subject.split("//&")]
        profiles = [name for name in labels if is_ours(name)]
        owner = self._attributor.by_pid(record.pid, profiles)
        if owner is None:
            return None
        if self._records_seccomp and owner.attribution is Attribution.KERNEL and record.action in _SEEN_BY_BPF:
            return None
        profile = owner.tenant.profile if owner.tenant else profiles[0]
        if record.action == "errno" and record.syscall in self._fallbacks(profile):
            return None  # not refused: the C library is told to take another way
        refused = record.action != "log"
        return self._made(
            owner,
            enforcer="Seccomp",
            action=Action.DENIED if refused else Action.AUDIT_ALLOWED,
            profile=profile,
            pid=record.pid,
            timestamp=record.timestamp,
            comm=record.comm,
            event={
                "auditID": record.audit_id,
                "epoch": int(record.timestamp),
                "subj": record.subject,
                "pid": record.pid,
                "comm": record.comm,
                "exe": record.exe,
                "syscall": record.syscall,
                "action": record.action,
                "rule": f"syscall {record.syscall}",
            },
            key=(record.syscall, record.action, record.exe),
            summary=f"syscall {record.syscall}",
        )

    def _fallbacks(self, profile: str) -> frozenset[str]:
        known = self._attributor.profile(profile)
        return fallback_syscalls(known.seccomp) if known is not None and known.seccomp is not None else frozenset()

    def _made(self, owner: Owner | None, **facts: Any) -> Violation:
        tenant = owner.tenant if owner else None
        extra: dict[str, Any] = {"attribution": owner.attribution} if owner else {}
        return Violation(
            workload=tenant.workload if tenant else None,
            policy=self._attributor.policy(facts["profile"]),
            mount_namespace=owner.mount_namespace if owner else 0,
            **facts,
            **extra,
        )


def _apparmor_summary(record: AppArmorRecord) -> str:
    event = record.event
    words = [record.operation, str(event.get("deniedMask") or event.get("requestedMask") or "")]
    words += [str(event[name]) for name in ("name", "netFamily", "netSockType", "signal", "peer") if name in event]
    return " ".join(word for word in words if word)

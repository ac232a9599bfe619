# SPDX-License-Identifier: Apache-2.0
"""The composition root of varmord: every object of the daemon is made here, once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from varmor import __version__
from varmor.catalog.loader import load as load_catalog
from varmor.errors import VarmorError
from varmor.kernel import audit
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.probe import NodeReport, probe
from varmor.kernel.seccomp import SeccompFiles
from varmor.kernel.support import Support, no
from varmor.node.enforcement import Enforcement
from varmor.node.event_sources import AuditEvents, BpfEvents, EventSource
from varmor.node.loss import records_complete
from varmor.node.operations import Operations
from varmor.node.policies import PolicyReconciler
from varmor.node.policy_directory import PolicyDirectory
from varmor.node.profile_enforcers import AppArmorProfiles, BpfProfiles, SeccompProfiles
from varmor.node.settings import FailMode, Settings
from varmor.node.store import Store
from varmor.node.tenancy import Tenancy
from varmor.node.unconfined import UnconfinedStarts
from varmor.node.unit_tenancy import UnitTenancy
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_journal import ViolationJournal
from varmor.node.violation_log import ViolationLog
from varmor.node.violations import Violations
from varmor.profile.types import NodeFacts
from varmor.workload.containers import Containers
from varmor.workload.oci_runtime import OciRuntime, configured, examine
from varmor.workload.process import Processes
from varmor.workload.units import Units

_LOG = logging.getLogger(__name__)
_PARTITIONS = Path("/proc/partitions")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the event loop drives. ``settle`` is called after each finished pass."""

    directory: PolicyDirectory
    reconciler: PolicyReconciler
    operations: Operations
    violations: Violations
    event_sources: tuple[EventSource, ...]
    settle: Callable[[], None]
    close: Callable[[], None]


def compose(settings: Settings, step: Callable[[str], None]) -> Parts:
    """Make the daemon's parts, opening the database and what the kernel keeps of ours.

    Raises:
        VarmorError: the daemon cannot run at all. An enforcer that is missing is no error; the status says why.
    """
    store = Store(settings.database)
    processes = Processes()
    bpf = BpfEnforcer()
    bpf_support = _start(bpf)
    binder = bpf if bpf_support.ok else None
    apparmor = AppArmor()
    seccomp = SeccompFiles()
    report = probe(apparmor, seccomp)
    enforcement = Enforcement(
        [AppArmorProfiles(apparmor), SeccompProfiles(seccomp), BpfProfiles(bpf, bpf_support)], step
    )
    records_seccomp = bpf_support.ok and bpf.records_seccomp
    facts = _facts(report, enforcement, settings, records_seccomp=records_seccomp)
    directory = PolicyDirectory(settings.policies)
    reconciler = PolicyReconciler(directory, store, enforcement, load_catalog(), facts)
    containers = Tenancy(store, Containers(), processes, binder, _RuntimeLimits(records_seccomp=records_seccomp))
    units = UnitTenancy(store, Units(fail_closed=settings.fail is FailMode.CLOSED), processes, binder)
    attributor = Attributor(bpf.owner_of if binder else lambda _pid: None, processes)
    violations = Violations(
        settings.node_name,
        ViolationLog(settings.violations_log),
        ViolationJournal(),
        attributor,
        settings.metadata,
        records_seccomp=records_seccomp,
    )
    stream, audit_support = _audit()
    sources: list[EventSource] = [BpfEvents(bpf, violations)] if binder else []
    sources += [AuditEvents(stream, violations)] if audit_support.ok else []
    unconfined = UnconfinedStarts(settings.socket.with_name("unconfined"))
    node_status = _NodeStatus(settings, report, audit_support, violations, tuple(sources))

    def inform() -> None:
        states = reconciler.states.values()
        profiles = [state.active.profile for state in states if state.active]
        attributor.update(store.tenants(), profiles)
        if binder:
            binder.record_syscalls({profile.name for profile in profiles if profile.refused_syscalls})

    def settle() -> None:
        in_force = all(state.in_force for state in reconciler.states.values() if state.active)
        if binder and in_force and bpf.retire_previous():
            _LOG.info("the BPF programs of an earlier version were removed")

    def close() -> None:
        violations.flush()
        stream.close()
        bpf.close()
        store.close()

    operations = Operations(directory, reconciler, enforcement, containers, units, node_status, inform, unconfined)
    return Parts(directory, reconciler, operations, violations, tuple(sources), settle, close)


def _start(bpf: BpfEnforcer) -> Support:
    support = bpf.supported()
    if support.ok:
        try:
            bpf.start()
        except VarmorError as error:
            support = no(str(error))
    if not support.ok:
        _LOG.warning("the BPF enforcer is not available: %s", support.reason)
    return support


def _audit() -> tuple[audit.AuditStream, Support]:
    stream = audit.AuditStream()
    support = audit.supported()
    if support.ok:
        try:
            for message in stream.start():
                _LOG.info("%s", message)
        except VarmorError as error:
            support = no(str(error))
    if not support.ok:
        _LOG.error("violations of AppArmor and seccomp are not recorded: %s", support.reason)
    return stream, support


def _facts(report: NodeReport, enforcement: Enforcement, settings: Settings, *, records_seccomp: bool) -> NodeFacts:
    return NodeFacts(
        apparmor_parser=report.apparmor_parser,
        apparmor_abi=report.apparmor_abi,
        disk_devices=_disk_devices(),
        enforcers=enforcement.available(),
        machine=report.machine,
        records_seccomp=records_seccomp,
        kernel=report.kernel_version,
        services=settings.services,
    )


class _RuntimeLimits:
    """What each OCI runtime of the node cannot do; asked again when its program was replaced.

    All that one cannot do is to have refusals recorded, which matters only where the BPF enforcer does not see them.
    """

    def __init__(self, *, records_seccomp: bool) -> None:
        self._records_seccomp = records_seccomp
        self._known: dict[str, tuple[int, OciRuntime]] = {}

    def __call__(self, runtime: str, seccomp: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        path = runtime or configured().path
        changed = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
        known = self._known.get(path)
        if known is None or known[0] != changed:
            known = self._known[path] = (changed, examine(path))
        usable, limits = known[1].usable(seccomp)
        return usable, () if self._records_seccomp else limits


def _disk_devices() -> tuple[str, ...]:
    """Names of block devices, as upstream's rules about disks want them."""
    lines = _PARTITIONS.read_text(encoding="ascii").splitlines()[2:]
    return tuple(sorted(line.split()[3] for line in lines))


class _NodeStatus:
    """The facts about the node in `varmor status`."""

    def __init__(
        self,
        settings: Settings,
        report: NodeReport,
        audit_support: Support,
        violations: Violations,
        sources: tuple[EventSource, ...],
    ) -> None:
        self._settings = settings
        self._report = report
        self._audit = audit_support
        self._violations = violations
        self._sources = sources
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def __call__(self) -> dict[str, Any]:
        losses = {source.losses: source.lost() for source in self._sources}
        losses["records could not be read or written"] = self._violations.lost
        return {
            "node": {
                "name": self._settings.node_name,
                "version": __version__,
                "kernel": os.uname().release,
                "started": self._started,
                "fail": self._settings.fail.value,
                "probe": self._report.as_json(),
                "conditions": [records_complete(losses).as_json()],
            },
            "audit": {"ok": self._audit.ok, "reason": self._audit.reason},
            "violations": {"recorded": self._violations.recorded, "lost": sum(losses.values())},
        }

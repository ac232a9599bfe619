# SPDX-License-Identifier: Apache-2.0
"""systemd units and their profiles.

A unit gets AppArmor and seccomp by a drop-in, at its next start, and BPF by its cgroup: at once when it runs, and at
every start before its first process, because the kernel side itself recognises the cgroup that systemd makes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from varmor.errors import VarmorError
from varmor.node.policy_state import PolicyState
from varmor.node.store import Store, Tenant
from varmor.node.tenancy import Binder, ProcessFacts, claim_slot
from varmor.policy.precedence import select
from varmor.policy.types import Enforcer, TargetKind
from varmor.policy.workload import Workload, WorkloadKind
from varmor.profile.types import Profile, UnitSettings

_LOG = logging.getLogger(__name__)


class UnitBinding(Protocol):
    """A binding that the BPF enforcer has: ``unit`` is the cgroup's path, empty for a container's binding."""

    @property
    def slot(self) -> str:
        """The profile's name."""

    @property
    def unit(self) -> str:
        """The path within the unified hierarchy."""


class UnitBinder(Binder, Protocol):
    """What units need of the BPF enforcer besides."""

    def bind_unit(self, cgroup_path: str, slot_name: str, workload: int) -> None:
        """Bind the cgroup at this path, the one that is there and those that systemd will make."""

    def unbind_unit(self, cgroup_path: str) -> None:
        """Forget the path; processes of the unit lose the profile."""

    def bindings(self) -> Sequence[UnitBinding]:
        """All bindings."""


class UnitControl(Protocol):
    """What the daemon does with systemd."""

    def cgroup_path(self, unit: str) -> str:
        """Where the unit's cgroup is or will be, for example ``/system.slice/nginx.service``."""

    def main_pid(self, unit: str) -> int:
        """The unit's main process; 0 when it does not run."""

    def write_drop_in(self, unit: str, settings: UnitSettings) -> bool:
        """Make the drop-in say this; whether it changed."""

    def remove_drop_in(self, unit: str) -> bool:
        """Remove the drop-in; whether there was one."""

    def drop_ins(self) -> set[str]:
        """Units that have a drop-in of ours."""

    def reload(self) -> None:
        """Have systemd read changed drop-ins."""

    def seccomp_is_current(self, unit: str) -> bool:
        """Whether the running unit was started with the drop-in as it stands."""


@dataclass(frozen=True, slots=True)
class UnitReport:
    """A unit that carries a profile: its tenant entry, and for each enforcer what the running unit has."""

    tenant: Tenant
    running: bool
    enforcers: dict[str, str]


class UnitTenancy:
    """The units of this node and their profiles."""

    def __init__(self, store: Store, units: UnitControl, processes: ProcessFacts, binder: UnitBinder | None) -> None:
        self._store = store
        self._units = units
        self._processes = processes
        self._binder = binder
        self.errors: dict[str, str] = {}

    def settle(self, states: Iterable[PolicyState], serving: Enforcer) -> None:
        """Make drop-ins and bindings say what the policies say. A unit that fails does not hold the others up."""
        wanted = _wanted(states)
        self.errors = {}
        changed = False
        for unit in self._units.drop_ins() - wanted.keys():
            changed |= self._units.remove_drop_in(unit)
        for unit, profile in wanted.items():
            try:
                changed |= self._units.write_drop_in(unit, _settings(profile, serving))
            except VarmorError as error:
                self.errors[unit] = str(error)
                _LOG.error("unit %s: %s", unit, error)
        if changed:
            self._units.reload()
        self._bind_all(wanted)
        for tenant in self.current():
            if tenant.workload.id not in wanted:
                self._release(tenant)

    def current(self) -> list[Tenant]:
        """Units that carry a profile now."""
        return [t for t in self._store.tenants() if t.ended is None and t.workload.kind is WorkloadKind.UNIT]

    def _release(self, tenant: Tenant) -> None:
        if self._binder is not None:
            self._binder.unbind_unit(self._units.cgroup_path(tenant.workload.id))
        self._store.dismiss(tenant)

    def _bind_all(self, wanted: dict[str, Profile]) -> None:
        paths = {unit: self._units.cgroup_path(unit) for unit in wanted}
        bound = self._bound()
        for path in bound.keys() - set(paths.values()):
            if self._binder is not None:
                self._binder.unbind_unit(path)
        late = 0
        for unit, profile in wanted.items():
            pid = self._units.main_pid(unit)
            tenant = self._store.admit(
                Workload(kind=WorkloadKind.UNIT, id=unit, name=unit),
                profile.name,
                cgroup_id=self._processes.cgroup_id(pid) if pid else 0,
                mount_namespace=self._processes.mount_namespace(pid) if pid else 0,
                pid=pid,
            )
            if self._binder is not None and bound.get(paths[unit]) != profile.name:
                claim_slot(self._binder, profile)
                self._binder.bind_unit(paths[unit], profile.name, tenant.number)
                late += bool(pid)
        if late and self._binder is not None:
            _LOG.info("%d running units were bound, %d of their tasks now", late, self._binder.adopt())

    def _bound(self) -> dict[str, str]:
        if self._binder is None:
            return {}
        return {binding.unit: binding.slot for binding in self._binder.bindings() if binding.unit}

    def report(self, tenant: Tenant, profile: Profile) -> UnitReport:
        """What a unit has of its profile now."""
        pid = self._units.main_pid(tenant.workload.id)
        has = {}
        for name in profile.enforcers.names():
            if name == "BPF" and self._binder is None:
                has[name] = "unavailable"
            elif not pid:
                has[name] = "enforced-at-start"
            elif name == "AppArmor":
                label = self._processes.apparmor_label(pid).split(" ")[0]
                has[name] = "enforced" if label == profile.name else "needs-restart"
            elif name == "BPF":
                has[name] = "enforced"
            else:
                current = self._units.seccomp_is_current(tenant.workload.id)
                has[name] = "enforced" if current else "needs-restart"
        return UnitReport(tenant, bool(pid), has)


def _wanted(states: Iterable[PolicyState]) -> dict[str, Profile]:
    in_force = {state.key: state for state in states if state.policy is not None and state.active is not None}
    policies = [state.policy for state in in_force.values() if state.policy]
    wanted: dict[str, Profile] = {}
    for unit in {policy.target.name for policy in policies if policy.target.kind is TargetKind.UNIT}:
        winner, _overridden = select(policies, Workload(kind=WorkloadKind.UNIT, id=unit, name=unit))
        active = in_force[winner.key].active if winner else None
        if active is not None:
            wanted[unit] = active.profile
    return wanted


def _settings(profile: Profile, serving: Enforcer) -> UnitSettings:
    """The directives that this node can serve: AppArmorProfile= without AppArmor would keep the unit from starting."""
    if Enforcer.APPARMOR in serving:
        return profile.unit
    return UnitSettings(tuple(pair for pair in profile.unit.directives if pair[0] != "AppArmorProfile"))

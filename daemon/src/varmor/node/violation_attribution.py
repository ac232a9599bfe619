# SPDX-License-Identifier: Apache-2.0
"""Which workload an event belongs to.

The kernel's own table of bound processes knows the answer even when the process has ended. Without the BPF enforcer
/proc is asked, and then the profile's name, which is enough when one workload carries the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from varmor.node.store import Tenant
from varmor.node.violation_record import Attribution
from varmor.policy.types import PolicyKey
from varmor.profile.types import Profile


class ProcessGroups(Protocol):
    """What attribution asks about live processes."""

    def cgroup_ids(self, pid: int) -> list[int]:
        """Inodes of the process's cgroup and those above it, nearest first; empty when it is gone."""

    def mount_namespace(self, pid: int) -> int:
        """Inode of its mount namespace; 0 when it is gone."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The answer. ``tenant`` None: only the profile is known."""

    tenant: Tenant | None
    attribution: Attribution
    mount_namespace: int = 0


@dataclass(frozen=True, slots=True)
class _Snapshot:
    tenants: Mapping[int, Tenant] = field(default_factory=dict)
    by_cgroup: Mapping[int, Tenant] = field(default_factory=dict)
    by_profile: Mapping[str, tuple[Tenant, ...]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)


class Attributor:
    """Finds owners. ``number_of`` gives the number of the tenant to which the kernel bound a pid, also when the
    process has ended; None when it knows nothing.

    :meth:`update` replaces all that is known in one step: it may be called in another thread than the questions.
    """

    def __init__(self, number_of: Callable[[int], int | None], processes: ProcessGroups) -> None:
        self._number_of = number_of
        self._processes = processes
        self._known = _Snapshot()

    def update(self, tenants: Iterable[Tenant], profiles: Iterable[Profile]) -> None:
        """Know these tenants (those that ended lately too) and these profiles in force from now on."""
        numbered = {tenant.number: tenant for tenant in tenants}
        by_profile: dict[str, tuple[Tenant, ...]] = {}
        for tenant in numbered.values():
            by_profile[tenant.profile] = (*by_profile.get(tenant.profile, ()), tenant)
        by_cgroup = {t.cgroup_id: t for t in numbered.values() if t.cgroup_id and t.ended is None}
        self._known = _Snapshot(numbered, by_cgroup, by_profile, {profile.name: profile for profile in profiles})

    def profile(self, name: str) -> Profile | None:
        """The profile in force under a name."""
        return self._known.profiles.get(name)

    def policy(self, profile: str) -> PolicyKey | None:
        """The policy that a profile was compiled from."""
        known = self._known.profiles.get(profile)
        return known.policy if known else None

    def by_number(self, number: int, mount_namespace: int = 0) -> Owner | None:
        """The tenant that an event of the BPF enforcer names."""
        tenant = self._known.tenants.get(number)
        if tenant is None:
            return None
        return Owner(tenant, Attribution.KERNEL, mount_namespace or tenant.mount_namespace)

    def by_pid(self, pid: int, profiles: Collection[str]) -> Owner | None:
        """The tenant whose process made an audit record.

        ``profiles`` are the AppArmor profiles that the record names, empty when it names none: an owner that
        carries another profile is not believed, its pid was used again. None: nothing of ours.
        """
        known = self._known
        ours = [name for name in profiles if name in known.by_profile or name in known.profiles]
        if profiles and not ours:
            return None
        number = self._number_of(pid)
        if number is not None and self._fits(known.tenants.get(number), ours):
            return self._owner(known.tenants[number], Attribution.KERNEL, pid)
        for cgroup in self._processes.cgroup_ids(pid):
            if self._fits(known.by_cgroup.get(cgroup), ours):
                return self._owner(known.by_cgroup[cgroup], Attribution.CGROUP, pid)
        if not ours:
            return None
        carriers = known.by_profile.get(ours[0], ())
        running = [tenant for tenant in carriers if tenant.ended is None] or list(carriers)
        if len(running) == 1:
            return Owner(running[0], Attribution.PROFILE, running[0].mount_namespace)
        return Owner(None, Attribution.PROFILE)

    def _fits(self, tenant: Tenant | None, profiles: Collection[str]) -> bool:
        return tenant is not None and (not profiles or tenant.profile in profiles)

    def _owner(self, tenant: Tenant, attribution: Attribution, pid: int) -> Owner:
        return Owner(tenant, attribution, self._processes.mount_namespace(pid) or tenant.mount_namespace)

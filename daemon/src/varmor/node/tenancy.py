# SPDX-License-Identifier: Apache-2.0
"""Which workload carries which profile: decide, bind, remember, let go."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from varmor.node.policy_state import PolicyState
from varmor.node.store import Store, Tenant
from varmor.policy.precedence import select
from varmor.policy.types import Enforcer
from varmor.policy.workload import Workload
from varmor.profile.seccomp_merge import merge
from varmor.profile.types import BpfProfile, Profile
from varmor.workload.runtime import RunningContainer

KEEP_ENDED_SECONDS = 600.0
"""How long an ended workload is remembered, so that records that arrive late still find it."""

STARTING_SECONDS = 120.0
"""How long a container may take from the runtime's `create` to being found among the running ones."""

_FIRST_PROCESS = 1
_LOG = logging.getLogger(__name__)


class Binder(Protocol):
    """What tenancy needs of the BPF enforcer."""

    def state(self) -> dict[str, str]:
        """Slots by profile name, with the digest that each holds."""

    def apply(self, slot_name: str, revision_digest: str, profile: BpfProfile, *, observe: bool) -> None:
        """Fill a slot."""

    def bind_cgroup(
        self, cgroup_id: int, slot_name: str, workload: int, *, entrypoint: bool, host_mounts: bool
    ) -> None:
        """Bind what execs in a cgroup.

        ``entrypoint``: the first exec is the container's start and not judged. ``host_mounts``: the container shares
        the node's mount namespace, so that namespace does not tell its tasks from the runtime's.
        """

    def unbind_cgroup(self, cgroup_id: int) -> None:
        """Forget a cgroup."""

    def unbind_mount_namespace(self, inode: int) -> None:
        """Forget a mount namespace."""

    def adopt(self) -> int:
        """Bind the tasks that already run in bound cgroups; how many were new."""


class ContainerSource(Protocol):
    """Where containers come from: all runtimes of the node."""

    def running(self) -> list[RunningContainer]:
        """The containers that run now."""

    def identify(self, bundle: Path, container_id: str) -> Workload | None:
        """The container that is about to be created from a bundle; None for a pod's sandbox."""


class ProcessFacts(Protocol):
    """Facts of a live process."""

    def cgroup_id(self, pid: int) -> int:
        """Inode of its cgroup in the unified hierarchy; 0 when there is none."""

    def mount_namespace(self, pid: int) -> int:
        """Inode of its mount namespace; 0 when it is gone."""

    def alive(self, pid: int) -> bool:
        """Whether it runs and is not a zombie."""

    def apparmor_label(self, pid: int) -> str:
        """Its AppArmor label; empty when unknown."""


class SeccompFit(Protocol):
    """Makes a filter fit the OCI runtime that will install it."""

    def __call__(self, runtime: str, seccomp: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The filter without what the runtime at this path refuses, and what that means, in words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a container gets when it is created. ``profile`` None: nothing of ours."""

    workload: Workload | None = None
    profile: Profile | None = None
    apparmor: str | None = None
    seccomp: dict[str, Any] | None = None
    messages: tuple[str, ...] = ()


class Tenancy:
    """The containers of this node and their profiles. Units are the business of :mod:`varmor.node.unit_tenancy`."""

    def __init__(
        self,
        store: Store,
        containers: ContainerSource,
        processes: ProcessFacts,
        binder: Binder | None,
        fit: SeccompFit,
    ) -> None:
        self._store = store
        self._containers = containers
        self._processes = processes
        self._binder = binder
        self._fit = fit
        self._states: list[PolicyState] = []
        self._serving = Enforcer(0)

    def use(self, states: Iterable[PolicyState], serving: Enforcer) -> None:
        """Decide from now on by these policies, with the enforcers that the node has."""
        self._states = [state for state in states if state.policy is not None and state.active is not None]
        self._serving = serving

    def profile_for(self, workload: Workload) -> Profile | None:
        """The profile in force for a workload, None when no policy matches it."""
        by_key = {state.key: state for state in self._states}
        winner, _overridden = select([state.policy for state in self._states if state.policy], workload)
        active = by_key[winner.key].active if winner else None
        return active.profile if active else None

    def create(self, bundle: Path, container_id: str, runtime: str = "") -> Decision:
        """What the container that is about to be made of ``bundle`` gets, written down before it exists.

        ``runtime`` is the path of the real OCI runtime, empty for the configured one.
        """
        workload = self._containers.identify(bundle, container_id)
        profile = self.profile_for(workload) if workload else None
        if workload is None or profile is None:
            return Decision(workload)
        messages: list[str] = []
        config = json.loads((bundle / "config.json").read_bytes())
        apparmor = profile.name if profile.apparmor is not None and Enforcer.APPARMOR in self._serving else None
        seccomp = None
        if profile.seccomp is not None and Enforcer.SECCOMP in self._serving:
            seccomp, notes = merge((config.get("linux") or {}).get("seccomp"), profile.seccomp)
            seccomp, limits = self._fit(runtime, seccomp)
            messages += [f"{note.field}: {note.message}" for note in notes]
            messages += limits
        self._store.admit(workload, profile.name, seccomp=seccomp_digest(profile) if seccomp is not None else "")
        return Decision(workload, profile, apparmor, seccomp, tuple(messages))

    def created(self, bundle: Path, container_id: str, pid: int) -> bool:
        """Bind the container whose init process waits to start its entrypoint; False when no profile applies."""
        workload = self._containers.identify(bundle, container_id)
        profile = self.profile_for(workload) if workload else None
        if workload is None or profile is None:
            return False
        self._bind(workload, profile, pid, entrypoint=True)
        return True

    def deleted(self, container_id: str) -> None:
        """Let a container go whose process has ended.

        The runtime deletes late, when another container of the same id may be starting: that one is left alone, and
        one that never starts is let go by a later scan.
        """
        for tenant in self.current():
            if tenant.workload.container_id != container_id or not tenant.pid:
                continue
            if not self._processes.alive(tenant.pid):
                self._dismiss(tenant)

    def current(self) -> list[Tenant]:
        """Containers that carry a profile now."""
        return [tenant for tenant in self._store.tenants() if tenant.ended is None and tenant.workload.container_id]

    def scan(self) -> None:
        """Compare with what really runs: bind what came another way or got another policy, let go what is gone."""
        tenants = {tenant.workload.id: tenant for tenant in self.current()}
        running = {container.workload.id: container for container in self._containers.running()}
        late = 0
        for workload_id, container in running.items():
            tenant = tenants.get(workload_id)
            profile = self.profile_for(container.workload)
            if profile is None:
                if tenant is not None:
                    self._dismiss(tenant)
            elif tenant is None or tenant.profile != profile.name or tenant.pid != container.pid:
                self._bind(container.workload, profile, container.pid, entrypoint=False)
                late += 1
        for workload_id in tenants.keys() - running.keys():
            if not self._lives(tenants[workload_id]):
                self._dismiss(tenants[workload_id])
        if late and self._binder is not None:
            _LOG.info("%d running containers were bound, %d of their tasks now", late, self._binder.adopt())
        self._store.forget_ended(time.time() - KEEP_ENDED_SECONDS)

    def _lives(self, tenant: Tenant) -> bool:
        """Whether a container that is not among the running ones is about to start: its entrypoint does not run yet."""
        if not tenant.pid:
            return time.time() - tenant.started < STARTING_SECONDS
        return self._processes.alive(tenant.pid) and self._processes.cgroup_id(tenant.pid) == tenant.cgroup_id

    def _bind(self, workload: Workload, profile: Profile, pid: int, *, entrypoint: bool) -> None:
        cgroup_id = self._processes.cgroup_id(pid)
        tenant = self._store.admit(
            workload,
            profile.name,
            cgroup_id=cgroup_id,
            mount_namespace=self._processes.mount_namespace(pid),
            pid=pid,
        )
        if self._binder is None or not cgroup_id:
            return
        claim_slot(self._binder, profile)
        shared = self._processes.mount_namespace(_FIRST_PROCESS) == tenant.mount_namespace
        self._binder.bind_cgroup(cgroup_id, profile.name, tenant.number, entrypoint=entrypoint, host_mounts=shared)

    def _dismiss(self, tenant: Tenant) -> None:
        if self._binder is not None:
            if tenant.cgroup_id:
                self._binder.unbind_cgroup(tenant.cgroup_id)
            if tenant.mount_namespace:
                self._binder.unbind_mount_namespace(tenant.mount_namespace)
        self._store.dismiss(tenant)

    def enforced_on(self, tenant: Tenant, profile: Profile) -> dict[str, str]:
        """For each enforcer of the profile, whether the running container has it: ``enforced`` or what is missing."""
        report: dict[str, str] = {}
        for name in profile.enforcers.names():
            report[name] = self._enforced(name, tenant, profile)
        return report

    def _enforced(self, enforcer: str, tenant: Tenant, profile: Profile) -> str:
        if enforcer == "BPF":
            return "enforced" if self._binder is not None and tenant.cgroup_id else "unavailable"
        if enforcer == "AppArmor":
            has = self._processes.apparmor_label(tenant.pid).split(" ")[0] == profile.name
        else:
            has = profile.seccomp is None or tenant.seccomp == seccomp_digest(profile)
        return "enforced" if has else "needs-restart"


def claim_slot(binder: Binder, profile: Profile) -> None:
    """Have a slot for a profile whose policy does not ask for BPF.

    It is empty: it denies nothing, and still tells later which workload a process belonged to.
    """
    if profile.name not in binder.state():
        binder.apply(profile.name, "", BpfProfile(), observe=False)


def seccomp_digest(profile: Profile) -> str:
    """A short name for a profile's own filter, to tell later which one a container was started with."""
    return hashlib.sha256(json.dumps(profile.seccomp, sort_keys=True).encode()).hexdigest()[:16]

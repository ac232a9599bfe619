# SPDX-License-Identifier: Apache-2.0
"""What the daemon does when it is asked: the operations of the socket API.

Everything here runs in the daemon's one worker thread, so that two requests never change the kernel at the same time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from varmor.errors import PolicyError, VarmorError
from varmor.node import status
from varmor.node.enforcement import Enforcement
from varmor.node.policies import PolicyReconciler
from varmor.node.policy_directory import PolicyDirectory, render
from varmor.node.policy_state import PolicyState
from varmor.node.store import policy_key
from varmor.node.tenancy import Tenancy
from varmor.node.unconfined import UnconfinedStarts
from varmor.node.unit_tenancy import UnitTenancy
from varmor.policy.parse import parse_object, parse_policies
from varmor.policy.types import Policy, PolicyKey
from varmor.profile.text import text_lines
from varmor.profile.types import Profile

_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,1023}")

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class RequestError(VarmorError):
    """A request that lacks something or has it wrong."""


class Operations:
    """The operations, over the parts of the daemon.

    ``node_status`` gives the facts about the node for ``status``; ``inform`` is called when profiles or tenants have
    changed.
    """

    def __init__(
        self,
        directory: PolicyDirectory,
        reconciler: PolicyReconciler,
        enforcement: Enforcement,
        containers: Tenancy,
        units: UnitTenancy,
        node_status: Callable[[], dict[str, Any]],
        inform: Callable[[], None],
        unconfined: UnconfinedStarts,
    ) -> None:
        self._directory = directory
        self._reconciler = reconciler
        self._enforcement = enforcement
        self._containers = containers
        self._units = units
        self._node_status = node_status
        self._inform = inform
        self._unconfined = unconfined
        self._last_pass = 0.0

    def table(self) -> dict[str, Operation]:
        """The operations by name."""
        return {
            "ping": lambda _request: self._ping(),
            "status": lambda _request: self.status(),
            "reload": lambda _request: self._reload(),
            "policy.plan": self._plan,
            "policy.put": self._put,
            "policy.delete": self._delete,
            "container.create": self._container_create,
            "container.created": self._container_created,
            "container.deleted": self._container_deleted,
        }

    def reconcile(self) -> None:
        """One full pass: policies, then units, then containers."""
        self._reconciler.reconcile()
        states = list(self._reconciler.states.values())
        serving = self._enforcement.available()
        self._containers.use(states, serving)
        self._units.settle(states, serving)
        self.scan()
        self._last_pass = time.time()

    def scan(self) -> None:
        """Look for containers that came or went without the wrapper."""
        self._unconfined.collect()
        self._containers.scan()
        self._inform()

    # Questions

    def _ping(self) -> dict[str, Any]:
        return {"version": self._node_status()["node"]["version"]}

    def status(self) -> dict[str, Any]:
        """Everything that an operator may want to know, in one answer."""
        by_profile: dict[str, list[dict[str, Any]]] = {}
        profiles = {s.active.profile.name: s.active.profile for s in self._reconciler.states.values() if s.active}
        for tenant in self._containers.current():
            if tenant.profile in profiles:
                has = self._containers.enforced_on(tenant, profiles[tenant.profile])
                entry = status.workload_json(tenant, has, running=tenant.pid > 0)
                by_profile.setdefault(tenant.profile, []).append(entry)
        for tenant in self._units.current():
            if tenant.profile in profiles:
                report = self._units.report(tenant, profiles[tenant.profile])
                entry = status.workload_json(tenant, report.enforcers, running=report.running)
                by_profile.setdefault(tenant.profile, []).append(entry)
        return {
            **self._node_status(),
            "enforcers": {
                name: {"ok": support.ok, "reason": support.reason}
                for name, support in self._enforcement.support().items()
            },
            "policies": [self._policy_json(state, by_profile) for state in self._reconciler.states.values()],
            "errors": [*self._reconciler.file_errors.values(), *self._units.errors.values()],
            "last_pass": self._last_pass,
        }

    def _policy_json(self, state: PolicyState, by_profile: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        name = state.active.profile.name if state.active else ""
        return status.policy_json(state, by_profile.get(name, []))

    # Policies

    def _reload(self) -> dict[str, Any]:
        self.reconcile()
        failed = [
            f"{state.key}: {condition.message}"
            for state in self._reconciler.states.values()
            for condition in state.conditions.values()
            if not condition.status and condition.type in ("Accepted", "Active")
        ]
        return {"errors": [*self._reconciler.file_errors.values(), *failed]}

    def _plan(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("state", "present") == "absent":
            return self._plan_absent(_requested_key(request))
        policy = _requested_policy(request)
        profile = self._reconciler.compile(policy)
        current = self._directory.read().policies.get(policy.key)
        return {
            "changed": current != policy,
            "before": self._text_in_force(policy.key, current),
            "after": _text(policy, profile),
            "policy": _identity(policy.key),
            "profile": profile.name,
            "warnings": [f"{item.field}: {item.message}" for item in profile.no_effect],
        }

    def _plan_absent(self, key: PolicyKey) -> dict[str, Any]:
        current = self._directory.read().policies.get(key)
        before = self._text_in_force(key, current)
        return {"changed": current is not None, "before": before, "after": "", "policy": _identity(key), "warnings": []}

    def _text_in_force(self, key: PolicyKey, current: Policy | None) -> str:
        """The manifest as it is now, with the profile that it is enforced by."""
        state = self._reconciler.states.get(key)
        active = state.active if state else None
        return _text(current, active.profile if active else None) if current else ""

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        plan = self._plan({**request, "state": "present"})
        policy = _requested_policy(request)
        listing = self._directory.read()
        if plan["changed"]:
            self._directory.put(policy, listing.sources.get(policy.key))
        state = self._reconciler.states.get(policy.key)
        if plan["changed"] or state is None or not state.ready:
            self.reconcile()
            state = self._reconciler.states[policy.key]
        return {**plan, **_outcome(state)}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        key = _requested_key(request)
        plan = self._plan_absent(key)
        source = self._directory.read().sources.get(key)
        if source is not None:
            self._directory.delete(key, source)
            self.reconcile()
        return plan

    # Containers

    def _container_create(self, request: dict[str, Any]) -> dict[str, Any]:
        runtime = request.get("runtime", "")
        if not isinstance(runtime, str):
            raise RequestError(f"runtime is {runtime!r}; expected the path of the OCI runtime")
        decision = self._containers.create(*_container(request), runtime)
        self._inform()
        return {
            "confine": decision.profile is not None,
            "profile": decision.profile.name if decision.profile else "",
            "apparmor": decision.apparmor,
            "seccomp": decision.seccomp,
            "messages": list(decision.messages),
        }

    def _container_created(self, request: dict[str, Any]) -> dict[str, Any]:
        pid = request.get("pid")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
            raise RequestError(f"pid is {pid!r}; expected the pid of the container's init process")
        bound = self._containers.created(*_container(request), pid)
        self._inform()
        return {"bound": bound}

    def _container_deleted(self, request: dict[str, Any]) -> dict[str, Any]:
        self._containers.deleted(_container(request)[1])
        return {}


def _text(policy: Policy, profile: Profile | None) -> str:
    lines = [render(policy).rstrip("\n"), *(text_lines(profile) if profile else ())]
    return "\n".join(lines) + "\n"


def _outcome(state: PolicyState) -> dict[str, Any]:
    return {
        "ready": state.ready,
        "revision": status.revision_json(state.active),
        "conditions": [condition.as_json() for condition in state.conditions.values()],
    }


def _identity(key: PolicyKey) -> dict[str, str]:
    return {"kind": key.kind.value, "namespace": key.namespace, "name": key.name}


def _requested_policy(request: dict[str, Any]) -> Policy:
    if isinstance(request.get("manifest"), dict):
        return parse_object(request["manifest"], "manifest")
    if isinstance(request.get("text"), str):
        policies = parse_policies(request["text"], "manifest")
        if len(policies) == 1:
            return policies[0]
        raise PolicyError(f"found {len(policies)} policies, expected one; send them one by one")
    raise RequestError("expected `manifest` (an object) or `text` (YAML)")


def _requested_key(request: dict[str, Any]) -> PolicyKey:
    if "manifest" in request or "text" in request:
        return _requested_policy(request).key
    kind, namespace, name = (request.get(field, "") for field in ("kind", "namespace", "name"))
    if not (isinstance(kind, str) and isinstance(namespace, str) and isinstance(name, str) and name):
        raise RequestError("expected `kind`, `name` and, for a VarmorPolicy, `namespace`, all strings")
    key = policy_key(kind, namespace, name)
    if kind == "VarmorPolicy" and not namespace:
        return policy_key(kind, "default", name)
    return key


def _container(request: dict[str, Any]) -> tuple[Path, str]:
    bundle, container_id = request.get("bundle"), request.get("id")
    if not isinstance(bundle, str) or not bundle.startswith("/"):
        raise RequestError(f"bundle is {bundle!r}; expected an absolute path")
    if not isinstance(container_id, str) or not _CONTAINER_ID.fullmatch(container_id):
        raise RequestError(f"id is {container_id!r}; expected a container id")
    return Path(bundle), container_id

# SPDX-License-Identifier: Apache-2.0
"""The daemon's status as plain JSON values; the shape is described in docs/socket-api.md."""

from __future__ import annotations

from typing import Any

from varmor.node.policy_state import PolicyState
from varmor.node.store import Revision, Tenant
from varmor.policy.types import Policy


def policy_json(state: PolicyState, workloads: list[dict[str, Any]]) -> dict[str, Any]:
    """One policy with its revision, conditions and workloads."""
    profile = state.active.profile if state.active else None
    return {
        "kind": state.key.kind.value,
        "namespace": state.key.namespace,
        "name": state.key.name,
        "source": state.source,
        "enforcer": "".join(profile.enforcers.names()) if profile else "",
        "mode": profile.mode.value if profile else "",
        "target": target_text(state.policy) if state.policy else "",
        "profile": profile.name if profile else "",
        "phase": state.phase.value,
        "ready": state.ready,
        "revision": revision_json(state.active),
        "conditions": [condition.as_json() for condition in state.conditions.values()],
        "workloads": workloads,
    }


def revision_json(revision: Revision | None) -> dict[str, Any] | None:
    """Number and digest of a revision."""
    return {"number": revision.number, "digest": revision.digest} if revision else None


def workload_json(tenant: Tenant, enforcers: dict[str, str], *, running: bool) -> dict[str, Any]:
    """One workload with what each enforcer does for it."""
    workload = tenant.workload
    return {
        "id": workload.id,
        "kind": workload.kind.value,
        "name": workload.name,
        "image": workload.image,
        "running": running,
        "pid": tenant.pid,
        "enforcers": enforcers,
    }


def target_text(policy: Policy) -> str:
    """A target in one line for people: ``Container name=web-* image=*nginx*``."""
    target = policy.target
    parts: list[str] = [target.kind.value]
    if target.name:
        parts.append(f"name={target.name}")
    if target.image:
        parts.append(f"image={target.image}")
    if target.selector is not None:
        parts += [f"{key}={value}" for key, value in target.selector.match_labels]
        parts += [f"{e.key} {e.operator.value} {','.join(e.values)}".strip() for e in target.selector.match_expressions]
    return " ".join(parts)

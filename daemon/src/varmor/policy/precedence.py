# SPDX-License-Identifier: Apache-2.0
"""Which of several policies a workload gets: always the same one, whatever their order."""

from __future__ import annotations

from collections.abc import Iterable

from varmor.policy.match import matches
from varmor.policy.types import Policy, PolicyKind
from varmor.policy.workload import Workload


def select(policies: Iterable[Policy], workload: Workload) -> tuple[Policy | None, tuple[Policy, ...]]:
    """The policy that ``workload`` gets, and those that match too but are overridden, strongest first.

    A namespaced policy comes before a cluster policy, an exact name before a name with wildcards, this before image or
    labels alone; among equals the lexicographically first key wins. A namespaced policy reaches pods of its own
    namespace, and containers that belong to no pod.
    """
    candidates = sorted(
        (policy for policy in policies if _in_scope(policy, workload) and matches(policy.target, workload)),
        key=_rank,
    )
    return (candidates[0], tuple(candidates[1:])) if candidates else (None, ())


def _in_scope(policy: Policy, workload: Workload) -> bool:
    return not policy.key.namespace or workload.pod_namespace in ("", policy.key.namespace)


def _rank(policy: Policy) -> tuple[int, int, str, str]:
    name = policy.target.name
    precision = 2 if not name else int("*" in name or "?" in name)
    cluster = policy.key.kind is PolicyKind.VARMOR_CLUSTER_POLICY
    return int(cluster), precision, policy.key.namespace, policy.key.name

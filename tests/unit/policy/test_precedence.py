# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import policy
from varmor.policy.precedence import select
from varmor.policy.types import Policy
from varmor.policy.workload import Workload, WorkloadKind

WEB = Workload(WorkloadKind.CONTAINER, "c/1", "web", "nginx", {"app": "web"}, pod_namespace="shop")


def _policy(name: str, target: dict[str, Any], namespace: str = "shop") -> Policy:
    if namespace:
        return policy(metadata={"name": name, "namespace": namespace}, target={"kind": "Container", **target})
    return policy(kind="VarmorClusterPolicy", metadata={"name": name}, target={"kind": "Container", **target})


# Strongest first.
RANKED = [
    _policy("z", {"name": "web"}),
    _policy("a", {"name": "we*"}),
    _policy("b", {"name": "w?b", "image": "nginx"}),
    _policy("a-labels", {"selector": {"matchLabels": {"app": "web"}}}),
    _policy("image", {"image": "*"}),
    _policy("0", {"name": "web"}, ""),
    _policy("1", {"name": "web"}, ""),
    _policy("0-glob", {"name": "*"}, ""),
]
STRANGERS = [
    _policy("elsewhere", {"name": "web"}, "other"),
    _policy("no-match", {"name": "api"}),
]


@given(st.permutations(RANKED + STRANGERS), st.integers(0, len(RANKED)))
def test_the_order_of_policies_does_not_matter(policies: list[Policy], left_out: int) -> None:
    present = [item for item in policies if item not in RANKED[:left_out]]
    winner, overridden = select(present, WEB)
    expected = RANKED[left_out:]
    assert ([winner, *overridden] if winner else []) == expected


def test_nothing_matches() -> None:
    assert select(STRANGERS, WEB) == (None, ())


def test_a_container_without_a_pod_is_reached_from_every_namespace() -> None:
    bare = Workload(WorkloadKind.CONTAINER, "docker/1", "web")
    winner, _ = select([STRANGERS[0]], bare)
    assert winner is STRANGERS[0]

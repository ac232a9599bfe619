# SPDX-License-Identifier: Apache-2.0
"""Manifests for tests: a small right one, and ways to change it."""

from __future__ import annotations

import copy
from typing import Any

from varmor.policy.armor_profile_model import ArmorProfileModel
from varmor.policy.parse import parse_object
from varmor.policy.types import Policy
from varmor.profile.types import NodeFacts, Profile

_MINIMAL: dict[str, Any] = {
    "apiVersion": "crd.varmor.org/v1beta1",
    "kind": "VarmorPolicy",
    "metadata": {"name": "web"},
    "spec": {
        "target": {"kind": "Container", "name": "web"},
        "policy": {"enforcer": "AppArmorBPFSeccomp", "mode": "EnhanceProtect", "enhanceProtect": {}},
    },
}


def manifest(
    *,
    enforcer: str = "AppArmorBPFSeccomp",
    mode: str = "EnhanceProtect",
    target: dict[str, Any] | None = None,
    kind: str = "VarmorPolicy",
    metadata: dict[str, Any] | None = None,
    **enhance_protect: Any,
) -> dict[str, Any]:
    """A right manifest with these values; the rest are fields of ``enhanceProtect``."""
    document = copy.deepcopy(_MINIMAL)
    document["kind"] = kind
    document["metadata"] = metadata or {"name": "web"}
    document["spec"]["target"] = target or {"kind": "Container", "name": "web"}
    document["spec"]["policy"] = {"enforcer": enforcer, "mode": mode}
    if mode == "EnhanceProtect" or enhance_protect:
        document["spec"]["policy"]["enhanceProtect"] = enhance_protect
    return document


def defense_manifest(enforcer: str, target: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """A manifest of mode DefenseInDepth; ``parts`` are fields of ``defenseInDepth``."""
    document = manifest(enforcer=enforcer, mode="DefenseInDepth", target=target)
    document["spec"]["policy"]["defenseInDepth"] = parts
    return document


def defense(enforcer: str, *models: ArmorProfileModel, facts: NodeFacts | None = None, **parts: Any) -> Profile:
    """The profile of :func:`defense_manifest`."""
    from varmor.catalog.loader import load
    from varmor.profile.compile import compile_policy

    made = parse_object(defense_manifest(enforcer, **parts), "test")
    return compile_policy(made, load(), facts or NodeFacts(), models)


def policy(**values: Any) -> Policy:
    """The policy of :func:`manifest`."""
    return parse_object(manifest(**values), "test")


def profile(facts: NodeFacts | None = None, **values: Any) -> Profile:
    """The profile of :func:`policy`."""
    # Imported here, so that tests of the lower layers stand on those alone.
    from varmor.catalog.loader import load
    from varmor.profile.compile import compile_policy

    return compile_policy(policy(**values), load(), facts or NodeFacts())

# SPDX-License-Identifier: Apache-2.0
"""Manifests become policies: strict, with the place of every fault.

What is checked here needs no knowledge beyond the manifest: structure, types, words, ranges. Rule names and the rules'
own languages are checked when a policy is compiled (:mod:`varmor.profile.compile`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from varmor.errors import Location
from varmor.policy.cursor import Cursor
from varmor.policy.document import Value, read_object, read_yaml
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.parse_defense_in_depth import defense_in_depth, require_parts
from varmor.policy.parse_enforcer import enforcers
from varmor.policy.parse_enhance_protect import enhance_protect
from varmor.policy.parse_metadata import object_kind, object_name
from varmor.policy.parse_target import target
from varmor.policy.types import Mode, ModelingOptions, Policy, PolicyKey, PolicyKind

MAX_PROFILE_NAME = 63
MAX_MODELING_MINUTES = 5_256_000

_KINDS = tuple(member.value for member in PolicyKind)

T = TypeVar("T")


def parse_policies(text: str, source: str) -> list[Policy]:
    """All policies of a YAML stream, in its order. ``source`` is the file's name for messages.

    A stream that may hold behaviour models too is for :func:`varmor.policy.manifests.parse_manifests`.

    Raises:
        PolicyError: the first fault that was found.
    """
    policies: list[Policy] = []
    seen: dict[PolicyKey, Location] = {}
    for document in read_yaml(text, source):
        policy = read_policy(document)
        if policy.key in seen:
            raise policy.error("metadata.name", f"this policy is defined twice; the first is at {seen[policy.key]}")
        seen[policy.key] = policy.where
        policies.append(policy)
    return policies


def parse_object(obj: object, source: str) -> Policy:
    """One policy from a JSON object. ``source`` says where it came from, for messages.

    Raises:
        PolicyError: the first fault that was found.
    """
    return read_policy(read_object(obj, source))


def read_policy(document: Value) -> Policy:
    """One policy from a document.

    Raises:
        PolicyError: the first fault that was found.
    """
    positions: dict[str, Location] = {}
    root = Cursor(document, "", "", positions)
    key = _key(root, PolicyKind(object_kind(root, _KINDS)))
    root.only(("apiVersion", "kind", "metadata", "spec", "status"))
    spec = root.child("spec")
    spec.only(("target", "policy", "updateExistingWorkloads"))
    body = spec.child("policy")
    body.only(
        ("enforcer", "mode", "enhanceProtect", "modelingOptions", "defenseInDepth"),
        {"networkProxyConfig": NOT_BUILT},
    )
    mode = body.child("mode").word(Mode)
    policy = Policy(
        key=key,
        target=target(spec.child("target")),
        enforcers=enforcers(body.child("enforcer")),
        mode=mode,
        enhance_protect=_part(body, "enhanceProtect", mode is Mode.ENHANCE_PROTECT, enhance_protect),
        defense_in_depth=_part(body, "defenseInDepth", mode is Mode.DEFENSE_IN_DEPTH, defense_in_depth),
        modeling_options=_part(body, "modelingOptions", mode is Mode.BEHAVIOR_MODELING, _modeling_options),
        update_existing_workloads=spec.flag("updateExistingWorkloads"),
        manifest=document.plain(),
        where=document.where,
        positions=positions,
    )
    if mode is Mode.DEFENSE_IN_DEPTH:
        require_parts(body.child("defenseInDepth"), policy.enforcers)
    return policy


def _part(body: Cursor, name: str, needed: bool, read: Callable[[Cursor], T]) -> T | None:
    """A part of the policy that one mode needs; in other modes it is checked all the same."""
    part = body.maybe(name)
    if part is None and needed:
        raise body.error(f"the field {name!r} is missing; the mode {body.child('mode').string()} needs it")
    return read(part) if part else None


def _modeling_options(cursor: Cursor) -> ModelingOptions:
    cursor.only(("duration",))
    return ModelingOptions(cursor.child("duration").integer(1, MAX_MODELING_MINUTES))


def _key(root: Cursor, kind: PolicyKind) -> PolicyKey:
    namespaced = kind is PolicyKind.VARMOR_POLICY
    key = PolicyKey(kind, *object_name(root, kind.value, namespaced=namespaced))
    length = len(profile_name(key))
    if length > MAX_PROFILE_NAME:
        raise (
            root.child("metadata")
            .child("name")
            .error(
                f"the profile would be called {profile_name(key)!r}: {length} characters, "
                f"at most {MAX_PROFILE_NAME} are possible; shorten the name"
            )
        )
    return key


def profile_name(key: PolicyKey) -> str:
    """The name of the profile that a policy becomes, the same in every enforcer."""
    scope = f"varmor-{key.namespace}" if key.namespace else "varmor-cluster-varmor"
    return f"{scope}-{key.name}".lower()

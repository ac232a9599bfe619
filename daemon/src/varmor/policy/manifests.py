# SPDX-License-Identifier: Apache-2.0
"""Streams of objects as they come from people and from ``kubectl get``: policies, models, and lists of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from varmor.errors import Location, PolicyError
from varmor.policy.cursor import Cursor
from varmor.policy.document import Value, read_yaml
from varmor.policy.parse import read_policy
from varmor.policy.types import API_VERSION, Policy, PolicyKind

if TYPE_CHECKING:
    from varmor.policy.armor_profile_model import ArmorProfileModel

_PROFILE = "ArmorProfile"
_MODEL = "ArmorProfileModel"
_LISTS = {
    "List": "v1",
    **{f"{kind}List": API_VERSION for kind in (*(each.value for each in PolicyKind), _MODEL)},
}


@dataclass(frozen=True, slots=True)
class Manifests:
    """The objects of a stream, in its order."""

    policies: tuple[Policy, ...] = ()
    models: tuple[ArmorProfileModel, ...] = ()


def parse_manifests(text: str, source: str) -> Manifests:
    """All policies and behaviour models of a YAML or JSON stream. ``source`` is the file's name for messages.

    Raises:
        PolicyError: the first fault that was found, an object that is neither, or one that is defined twice.
    """
    policies: list[Policy] = []
    models: list[ArmorProfileModel] = []
    seen: dict[str, Location] = {}
    for document in _objects(read_yaml(text, source)):
        kind = _kind(document)
        if kind == _MODEL:
            models.append(_model(document))
            name = str(models[-1])
        else:
            _refuse_profile(document, kind)
            policies.append(read_policy(document))
            name = str(policies[-1].key)
        if name in seen:
            raise PolicyError(
                f"this object is defined twice; the first is at {seen[name]}",
                where=document.where,
                subject=name,
                field="metadata.name",
            )
        seen[name] = document.where
    return Manifests(tuple(policies), tuple(models))


def _model(document: Value) -> ArmorProfileModel:
    # Models are rare, and describing them takes longer than reading a policy.
    from varmor.policy.armor_profile_model import read_model  # noqa: PLC0415

    return read_model(document)


def _objects(documents: list[Value]) -> Iterator[Value]:
    """The documents, and in place of a list its items."""
    for document in documents:
        kind = _kind(document)
        if kind not in _LISTS:
            yield document
            continue
        root = Cursor(document, "", kind, {})
        root.only(("apiVersion", "kind", "metadata", "items"))
        version = root.child("apiVersion")
        if version.string() != _LISTS[kind]:
            raise version.error(f"unknown version {version.string()[:80]!r}; expected {_LISTS[kind]!r}")
        for item in root.child("items").items(limit=10_000):
            yield _typed(item, kind)


def _typed(item: Cursor, kind: str) -> Value:
    """An item of a list. The API server leaves out kind and version of the items of a typed list."""
    own = kind.removesuffix("List")
    if not own or not isinstance(item.value.data, dict) or "kind" in item.value.data:
        return item.value
    added = {"apiVersion": Value(API_VERSION, item.value.where), "kind": Value(own, item.value.where)}
    return Value({**added, **item.value.data}, item.value.where)


def _kind(document: Value) -> str:
    found = document.data.get("kind") if isinstance(document.data, dict) else None
    return found.data if found is not None and isinstance(found.data, str) else ""


def _refuse_profile(document: Value, kind: str) -> None:
    if kind == _PROFILE:
        raise Cursor(document, "", kind, {}).error("an ArmorProfile is made from a policy; give the policy instead")

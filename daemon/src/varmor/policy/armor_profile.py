# SPDX-License-Identifier: Apache-2.0
"""ArmorProfile: what a policy becomes in a cluster. Components exchange it; nobody writes it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varmor.policy import parse_target, record, render
from varmor.policy.cursor import Cursor
from varmor.policy.document import Value, read_object
from varmor.policy.parse_metadata import object_kind, object_name
from varmor.policy.profile_content import ProfileContent
from varmor.policy.record import INT32, member
from varmor.policy.status import ArmorProfileStatus
from varmor.policy.types import API_VERSION, Target

KIND = "ArmorProfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviorModeling:
    """Whether and how long behaviour is modelled."""

    enable: bool = member("Whether behaviour is modelled", default=False)
    duration: int = member("For how many minutes", default=0, high=INT32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmorProfileSpec:
    """What the nodes are to do."""

    target: Target = member("A copy of the policy's target", read=parse_target.target, write=render.target)
    profile: ProfileContent = member("What to load")
    update_existing_workloads: bool = member("Roll out running workloads again", default=False)
    behavior_modeling: BehaviorModeling | None = member("Modelling of behaviour", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmorProfile:
    """An ArmorProfile object."""

    namespace: str
    name: str
    spec: ArmorProfileSpec
    status: ArmorProfileStatus | None = None

    def manifest(self) -> dict[str, Any]:
        """The object as JSON values."""
        made: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": record.render(self.spec),
        }
        if self.status is not None:
            made["status"] = record.render(self.status)
        return made


def parse_armor_profile(obj: object, source: str) -> ArmorProfile:
    """An ArmorProfile from a JSON object. ``source`` says where it came from, for messages.

    Raises:
        PolicyError: the first fault that was found.
    """
    return read_armor_profile(read_object(obj, source))


def read_armor_profile(document: Value) -> ArmorProfile:
    """An ArmorProfile from a document.

    Raises:
        PolicyError: the first fault that was found.
    """
    root = Cursor(document, "", "", {})
    namespace, name = object_name(root, object_kind(root, (KIND,)))
    root.only(("apiVersion", "kind", "metadata", "spec", "status"))
    status = root.maybe("status")
    return ArmorProfile(
        namespace=namespace,
        name=name,
        spec=record.read(ArmorProfileSpec, root.child("spec")),
        status=record.read(ArmorProfileStatus, status) if status else None,
    )

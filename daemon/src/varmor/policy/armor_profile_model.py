# SPDX-License-Identifier: Apache-2.0
"""ArmorProfileModel: a behaviour model, from which DefenseInDepth takes its profiles."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from varmor.errors import Location
from varmor.policy import record
from varmor.policy.cursor import Cursor
from varmor.policy.document import Value, read_object
from varmor.policy.model_data import ModelData
from varmor.policy.parse_metadata import object_kind, object_name
from varmor.policy.status import ArmorProfileModelStatus
from varmor.policy.types import API_VERSION

KIND = "ArmorProfileModel"


class StorageType(enum.StrEnum):
    """Where a model's data are: in the object, or in files of the manager."""

    CRD_INTERNAL = "CRDInternal"
    LOCAL_DISK = "LocalDisk"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmorProfileModel:
    """An ArmorProfileModel object.

    The model of a policy has the policy's namespace and the name of its profile.
    """

    namespace: str
    name: str
    storage_type: StorageType = StorageType.CRD_INTERNAL
    data: ModelData = field(default_factory=ModelData)
    status: ArmorProfileModelStatus | None = None
    where: Location = field(default=Location(), compare=False)

    def __str__(self) -> str:
        return f"{KIND} {self.namespace}/{self.name}"

    def manifest(self) -> dict[str, Any]:
        """The object as JSON values."""
        made: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "storageType": self.storage_type.value,
            "data": record.render(self.data),
        }
        if self.status is not None:
            made["status"] = record.render(self.status)
        return made


def parse_model(obj: object, source: str) -> ArmorProfileModel:
    """An ArmorProfileModel from a JSON object. ``source`` says where it came from, for messages.

    Raises:
        PolicyError: the first fault that was found.
    """
    return read_model(read_object(obj, source))


def read_model(document: Value) -> ArmorProfileModel:
    """An ArmorProfileModel from a document.

    Raises:
        PolicyError: the first fault that was found.
    """
    root = Cursor(document, "", "", {})
    namespace, own_name = object_name(root, object_kind(root, (KIND,)))
    root.only(("apiVersion", "kind", "metadata", "storageType", "data", "status"))
    storage, data, status = (root.maybe(name) for name in ("storageType", "data", "status"))
    return ArmorProfileModel(
        namespace=namespace,
        name=own_name,
        storage_type=storage.word(StorageType) if storage else StorageType.CRD_INTERNAL,
        data=record.read(ModelData, data) if data else ModelData(),
        status=record.read(ArmorProfileModelStatus, status) if status else None,
        where=document.where,
    )

# SPDX-License-Identifier: Apache-2.0
"""Schemas of records (:mod:`varmor.policy.record`): what programs exchange."""

from __future__ import annotations

import enum
from typing import Any

from varmor.policy import record, schema_bpf, schema_policy
from varmor.policy.model_data import FileUse, NetworkUse, PtraceUse
from varmor.policy.profile_content import PatternContent, ProfileContent
from varmor.policy.record import MAX_ITEMS, Detail
from varmor.policy.schema import Field, Schema, array, integer, mapping, string
from varmor.policy.status import NodeCondition
from varmor.policy.types import BpfAllowList, Target

_SHARED: dict[type, str] = {
    ProfileContent: "Profile content",
    NetworkUse: "Network use",
    FileUse: "File use",
    PtraceUse: "Ptrace use",
    NodeCondition: "Node condition",
    PatternContent: "Pattern content",
}


def schema(kind: type, description: str = "") -> Schema:
    """The schema of a record class."""
    fields = tuple(Field(item.name, _value(item), item.required) for item in record.members(kind))
    return mapping(description, *fields, shared=_SHARED.get(kind, ""))


def _value(item: record.Member) -> Schema:
    text = f"{item.detail.description}."
    if item.type is Target:
        return schema_policy.target()
    if item.type is BpfAllowList:
        return schema_bpf.allow_list()
    if item.element is not None:
        return array(text, _scalar(item.element, item.detail, ""), most=MAX_ITEMS)
    return _scalar(item.type, item.detail, text)


def _scalar(kind: Any, detail: Detail, text: str) -> Schema:
    if kind is bool:
        return Schema("boolean", text)
    if kind is int:
        return integer(text, detail.low, detail.high)
    if detail.time:
        return Schema("string", text, format="date-time")
    if kind is str:
        return string(text, least=0, most=detail.limit)
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return string(text, enum=tuple(member.value for member in kind))
    return schema(kind, text)

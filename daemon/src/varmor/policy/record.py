# SPDX-License-Identifier: Apache-2.0
"""Objects that programs exchange, described once: the fields of a dataclass are its reader, its writer and its schema.

For what people write by hand there are parsers of their own, with better messages; the objects here are status, and
what one component hands to another.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import types
import typing
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from varmor.policy.cursor import Cursor

INT32 = (1 << 31) - 1
INT64 = (1 << 63) - 1
MAX_ITEMS = 50_000
MAX_TEXT = 1 << 20

R = TypeVar("R")

_DETAIL = "varmor"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Detail:
    """What is to be known about a field beyond its type.

    ``limit`` bounds the characters of a string or of each string in a list, ``low`` and ``high`` an integer. A type
    that is no record brings its own ``read`` and ``write``.
    """

    description: str
    name: str = ""
    low: int = 0
    high: int = INT64
    limit: int = 4096
    time: bool = False  # a string that says a time (RFC 3339)
    read: Callable[[Cursor], Any] | None = None
    write: Callable[[Any], Any] | None = None


def member(
    description: str, *, default: Any = dataclasses.MISSING, make: Any = dataclasses.MISSING, **details: Any
) -> Any:
    """A field of a record; without ``default`` and ``make`` (its factory) the field must be given."""
    return dataclasses.field(default=default, default_factory=make, metadata={_DETAIL: Detail(description, **details)})


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a record class: its name in Python and in JSON, its type without ``| None``, and its details."""

    attribute: str
    name: str
    type: Any
    required: bool
    detail: Detail

    @property
    def element(self) -> Any:
        """The type of the elements of a list; None where the field is no list."""
        return typing.get_args(self.type)[0] if typing.get_origin(self.type) is tuple else None


@functools.cache
def members(kind: type) -> tuple[Member, ...]:
    """The fields of a record class, in their order."""
    hints = typing.get_type_hints(kind)
    made = []
    for field in dataclasses.fields(kind):
        detail: Detail = field.metadata[_DETAIL]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        name = detail.name or _camel(field.name)
        made.append(Member(field.name, name, _without_none(hints[field.name]), required, detail))
    return tuple(made)


def read(kind: type[R], cursor: Cursor) -> R:
    """A record from a manifest.

    Raises:
        PolicyError: an unknown field, a wrong type, a number out of range, or a field that is missing.
    """
    fields = members(cast("Hashable", kind))
    cursor.only(tuple(item.name for item in fields))
    values: dict[str, Any] = {}
    for item in fields:
        child = cursor.child(item.name) if item.required else cursor.maybe(item.name)
        if child is not None:
            values[item.attribute] = _value(item, child)
    return kind(**values)


def render(record: Any) -> dict[str, Any]:
    """A record as JSON values. What is empty or absent is left out, unless the field must be given."""
    made: dict[str, Any] = {}
    for item in members(cast("Hashable", type(record))):
        value = getattr(record, item.attribute)
        if item.required or not (value is None or value is False or value in ((), "")):
            made[item.name] = _plain(value, item.detail)
    return made


def is_record(kind: Any) -> bool:
    """Whether this type is a record class."""
    return dataclasses.is_dataclass(kind) and all(_DETAIL in field.metadata for field in dataclasses.fields(kind))


def _value(item: Member, cursor: Cursor) -> Any:
    if item.detail.read is not None:
        return item.detail.read(cursor)
    if item.element is not None:
        return tuple(_scalar(item.element, item.detail, each) for each in cursor.items(limit=MAX_ITEMS))
    return _scalar(item.type, item.detail, cursor)


def _scalar(kind: Any, detail: Detail, cursor: Cursor) -> Any:
    if kind is bool:
        return cursor.boolean()
    if kind is int:
        return cursor.integer(detail.low, detail.high)
    if kind is str:
        return _time(cursor) if detail.time else cursor.string(empty=True, limit=detail.limit)
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return cursor.word(kind)
    return read(kind, cursor)


def _time(cursor: Cursor) -> str:
    found = cursor.string(limit=64)
    if not _RFC3339.fullmatch(found):
        raise cursor.error(f"{found!r} is no time; expected one such as 2026-01-31T12:00:00Z (RFC 3339)")
    return found


def _plain(value: Any, detail: Detail) -> Any:
    if detail.write is not None and value is not None:
        return detail.write(value)
    if isinstance(value, tuple):
        return [_plain(each, detail) for each in value]
    if isinstance(value, enum.StrEnum):
        return value.value
    return render(value) if dataclasses.is_dataclass(value) else value


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        (kind,) = (each for each in typing.get_args(hint) if each is not type(None))
        return kind
    return hint


def _camel(name: str) -> str:
    head, *words = name.split("_")
    return head + "".join(word.capitalize() for word in words)

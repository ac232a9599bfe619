# SPDX-License-Identifier: Apache-2.0
"""Reading a manifest field by field, with one clear error for what does not fit.

A :class:`Cursor` is a value together with its field path. It remembers the position of every field it passes, so that
later layers can point at the manifest too.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TypeVar

from varmor.errors import Location, PolicyError
from varmor.policy.document import Value
from varmor.policy.nearest import did_you_mean

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)

_TYPE_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    dict: "a mapping",
    tuple: "a list",
    type(None): "nothing",
}


class Cursor:
    """A value in a manifest, its field path and the object that it belongs to."""

    def __init__(self, value: Value, path: str, subject: str, positions: dict[str, Location]) -> None:
        self.value = value
        self.path = path
        self.subject = subject
        self.positions = positions
        positions[path] = value.where

    def error(self, problem: str) -> PolicyError:
        """An error about this field, ready to be raised."""
        return PolicyError(problem, where=self.value.where, subject=self.subject, field=self.path)

    def _wrong_type(self, expected: str) -> PolicyError:
        data = self.value.data
        found = _TYPE_NAMES[type(data)]
        shown = f" {_short(data)}" if isinstance(data, str | int | float) and not isinstance(data, bool) else ""
        hint = "; put quotes around it" if expected == "a string" and shown else ""
        if isinstance(data, bool):
            hint = f"; put quotes around it if the word {str(data).lower()} is meant" if expected == "a string" else ""
        return self.error(f"expected {expected}, found {found}{shown}{hint}")

    def names(self) -> tuple[str, ...]:
        """The field names of a mapping.

        Raises:
            PolicyError: it is no mapping.
        """
        if not isinstance(self.value.data, dict):
            raise self._wrong_type("a mapping")
        return tuple(self.value.data)

    def only(self, known: Iterable[str], refused: dict[str, str] | None = None) -> None:
        """Refuse fields that are not ``known``; ``refused`` gives fields a reason of their own.

        Raises:
            PolicyError: another field is there, or the value is no mapping.
        """
        known = tuple(known)
        for name in self.names():
            if name in known:
                continue
            child = self.child(name)
            if refused and name in refused:
                raise child.error(refused[name])
            expected = ", ".join(known)
            raise child.error(f"unknown field {_short(name)}; expected one of {expected}{did_you_mean(name, known)}")

    def child(self, name: str) -> Cursor:
        """The field ``name``.

        Raises:
            PolicyError: it is missing.
        """
        child = self.maybe(name)
        if child is None:
            raise self.error(f"the field {name!r} is missing")
        return child

    def maybe(self, name: str) -> Cursor | None:
        """The field ``name``, or None where it is absent or null."""
        self.names()
        data = self.value.data
        item = data.get(name) if isinstance(data, dict) else None
        if item is None or item.data is None:
            return None
        step = name if name.isprintable() and len(name) <= 320 else _short(name)
        return Cursor(item, f"{self.path}.{step}" if self.path else step, self.subject, self.positions)

    def string(self, *, empty: bool = False, limit: int = 4096) -> str:
        """The value as a string.

        Raises:
            PolicyError: it is no string, is empty, or longer than ``limit`` characters.
        """
        if not isinstance(self.value.data, str):
            raise self._wrong_type("a string")
        if not self.value.data and not empty:
            raise self.error("expected a string, found an empty one")
        if len(self.value.data) > limit:
            raise self.error(f"{len(self.value.data)} characters are more than the {limit} that are possible")
        return self.value.data

    def boolean(self) -> bool:
        """The value as a truth value.

        Raises:
            PolicyError: it is none.
        """
        if not isinstance(self.value.data, bool):
            raise self._wrong_type("true or false")
        return self.value.data

    def integer(self, low: int, high: int) -> int:
        """The value as an integer from ``low`` to ``high``.

        Raises:
            PolicyError: it is no integer or out of range.
        """
        data = self.value.data
        if isinstance(data, bool) or not isinstance(data, int):
            raise self._wrong_type("an integer")
        if not low <= data <= high:
            raise self.error(f"{data} is out of range; expected {low} to {high}")
        return data

    def word(self, kind: type[E]) -> E:
        """The value as a member of an enumeration, spelled exactly.

        Raises:
            PolicyError: it is none of its members.
        """
        found = self.string()
        try:
            return kind(found)
        except ValueError:
            names = [member.value for member in kind]
            raise self.error(
                f"unknown value {_short(found)}; expected one of {', '.join(names)}{did_you_mean(found, names)}"
            ) from None

    def items(self, *, required: bool = False, limit: int = 1000) -> list[Cursor]:
        """The elements of a list.

        Raises:
            PolicyError: it is no list, is empty although something is ``required``, or is too long.
        """
        if not isinstance(self.value.data, tuple):
            raise self._wrong_type("a list")
        if required and not self.value.data:
            raise self.error("expected at least one element, found an empty list")
        if len(self.value.data) > limit:
            raise self.error(f"{len(self.value.data)} elements are more than the {limit} that are possible")
        return [
            Cursor(item, f"{self.path}[{index}]", self.subject, self.positions)
            for index, item in enumerate(self.value.data)
        ]

    def strings(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """The field ``name`` as a list of strings; absent is empty unless ``required``.

        Raises:
            PolicyError: it is something else, or missing or empty although required.
        """
        return self.each(name, Cursor.string, required=required)

    def each(self, name: str, read: Callable[[Cursor], T], *, required: bool = False) -> tuple[T, ...]:
        """The field ``name`` as a list whose elements ``read`` makes; absent is empty unless ``required``.

        Raises:
            PolicyError: it is something else, or missing or empty although required.
        """
        child = self.child(name) if required else self.maybe(name)
        return tuple(read(item) for item in child.items(required=required)) if child else ()

    def flag(self, name: str) -> bool:
        """The field ``name`` as a truth value; absent is false.

        Raises:
            PolicyError: it is something else.
        """
        child = self.maybe(name)
        return child.boolean() if child else False


def _short(data: str | float) -> str:
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."

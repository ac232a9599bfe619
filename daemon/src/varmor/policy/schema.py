# SPDX-License-Identifier: Apache-2.0
"""Descriptions of API fields, each made once: the custom resource definitions and the reference page come from them.

A description is a structural schema in the sense of Kubernetes. Rules are written in CEL. Lists and strings that rules
look at are bounded, because the API server refuses rules whose worst case costs too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varmor.policy.record import INT64


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression that must hold, and what is said when it does not."""

    rule: str
    message: str

    def openapi(self) -> dict[str, Any]:
        """The rule as an entry of ``x-kubernetes-validations``."""
        return {"rule": self.rule, "message": self.message}


@dataclass(frozen=True, slots=True)
class Schema:
    """One value: its type, its bounds, and for mappings and lists what they hold.

    ``shared`` is the title under which the reference page describes a mapping that stands in several places.
    """

    type: str
    description: str = ""
    fields: tuple[Field, ...] = ()
    items: Schema | None = None
    values: Schema | None = None
    enum: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    default: bool | None = None
    least: int | None = None
    most: int | None = None
    rules: tuple[Rule, ...] = ()
    open: bool = False
    shared: str = ""

    def openapi(self) -> dict[str, Any]:
        """The schema in the words of OpenAPI v3."""
        made: dict[str, Any] = {"type": self.type}
        if self.description:
            made["description"] = self.description
        for name in ("format", "pattern"):
            if getattr(self, name):
                made[name] = getattr(self, name)
        if self.enum:
            made["enum"] = list(self.enum)
        if self.default is not None:
            made["default"] = self.default
        made |= self._bounds()
        if self.items is not None:
            made["items"] = self.items.openapi()
        if self.values is not None:
            made["additionalProperties"] = self.values.openapi()
        required = [field.name for field in self.fields if field.required]
        if required:
            made["required"] = required
        if self.fields:
            made["properties"] = {field.name: field.schema.openapi() for field in self.fields}
        if self.open:
            made["x-kubernetes-preserve-unknown-fields"] = True
        if self.rules:
            made["x-kubernetes-validations"] = [rule.openapi() for rule in self.rules]
        return made

    def _bounds(self) -> dict[str, Any]:
        low, high = {
            "string": ("minLength", "maxLength"),
            "array": ("minItems", "maxItems"),
            "object": ("minProperties", "maxProperties"),
        }.get(self.type, ("minimum", "maximum"))
        # A server compares bounds as floating-point numbers, where the greatest integer of int64 has become too great.
        most = None if self.most == INT64 else self.most
        bounds = {low: self.least, high: most}
        return {name: value for name, value in bounds.items() if value is not None}

    def field(self, name: str) -> Schema:
        """The schema of one field of a mapping."""
        return next(field.schema for field in self.fields if field.name == name)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a mapping."""

    name: str
    schema: Schema
    required: bool = False


def need(name: str, schema: Schema) -> Field:
    """A field that must be given."""
    return Field(name, schema, required=True)


def may(name: str, schema: Schema) -> Field:
    """A field that may be left out."""
    return Field(name, schema)


def string(
    description: str, *, most: int = 4096, least: int = 1, enum: tuple[str, ...] = (), pattern: str = ""
) -> Schema:
    """A string of so many characters."""
    if enum:
        return Schema("string", description, enum=enum)
    return Schema("string", description, least=least or None, most=most, pattern=pattern)


def integer(description: str, least: int, most: int) -> Schema:
    """An integer within these bounds."""
    return Schema("integer", description, least=least, most=most, format="int64" if most > (1 << 31) - 1 else "int32")


def flag(description: str) -> Schema:
    """True or false; false where nothing is said."""
    return Schema("boolean", description, default=False)


def array(description: str, items: Schema, *, least: int = 0, most: int = 1000) -> Schema:
    """A list of so many elements."""
    return Schema("array", description, items=items, least=least or None, most=most)


def mapping(description: str, *fields: Field, rules: tuple[Rule, ...] = (), shared: str = "") -> Schema:
    """A mapping with these fields and no others."""
    return Schema("object", description, fields=fields, rules=rules, shared=shared)


def closed(name: str, message: str) -> tuple[Field, Rule]:
    """A field that is known by name and refused: without it in the schema a server would drop it in silence."""
    return may(name, Schema("object", f"Refused: {message}.", open=True)), Rule(
        f"!has(self.{name})", f"{name}: {message}"
    )

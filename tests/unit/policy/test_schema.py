# SPDX-License-Identifier: Apache-2.0
"""Schema and parser say the same: fields, what must be given, numbers and words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from varmor.errors import PolicyError
from varmor.policy import schema_policy
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.parse import parse_object
from varmor.policy.schema import Field, Rule, Schema, array, closed, flag, integer, mapping, may, need, string

Path = tuple[str, ...]

SPEC = schema_policy.spec()
BASE: dict[str, Any] = {
    "target": {"kind": "Container", "name": "web"},
    "policy": {
        "enforcer": "BPF",
        "mode": "RuntimeDefault",
        "enhanceProtect": {},
        "modelingOptions": {"duration": 1},
        "defenseInDepth": {"bpf": {"profileType": "BehaviorModel", "customProfile": {}}},
    },
}
# A value of each string field that stands in a manifest by default. Others get "x".
STRINGS = {
    "qualifiers": "deny",
    "permissions": "read",
    "ip": "1.2.3.4",
    "targets": "/bin/sh",
    "domains": "inet",
    "types": "raw",
    "protocols": "tcp",
    "flags": "bind",
    "capabilities": "chown",
    "operations": "kexec",
    "operator": "Exists",
    "mode": "RuntimeDefault",
    "enforcer": "BPF",
    "profileType": "BehaviorModel",
}


def nodes(schema: Schema = SPEC, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every value that can stand in a spec, with its path; ``[]`` is an element."""
    yield path, schema
    if schema.items is not None:
        yield from nodes(schema.items, (*path, "[]"))
    for field in schema.fields:
        yield from nodes(field.schema, (*path, field.name))


def sample(schema: Schema, path: Path) -> Any:
    """A small value that is right at ``path``."""
    if schema.items is not None:
        return [sample(schema.items, (*path, "[]"))]
    if schema.values is not None:
        return {"app": "x"}
    if schema.type == "object":
        return {field.name: sample(field.schema, (*path, field.name)) for field in schema.fields if field.required}
    if schema.type == "integer":
        return max(schema.least or 0, 1)
    if schema.type == "boolean":
        return True
    name = next(part for part in reversed(path) if part != "[]")
    return STRINGS.get(name) or (schema.enum[0] if schema.enum else "x")


def manifest(path: Path, value: Any = ...) -> dict[str, Any]:
    """A right manifest that has something at ``path``: ``value``, or a sample."""
    spec = copy.deepcopy(BASE)
    if "containers" in path:
        spec["target"] = {"kind": "Pod", "name": "p"}
    _put(spec, SPEC, path, (), value)
    return {"apiVersion": "crd.varmor.org/v1beta1", "kind": "VarmorPolicy", "metadata": {"name": "web"}, "spec": spec}


def _put(place: Any, schema: Schema, path: Path, done: Path, value: Any) -> None:
    head, *rest = path
    inner = schema.items if head == "[]" else schema.field(head)
    assert inner is not None
    at = (*done, head)
    key: Any = 0 if head == "[]" else head
    if not rest and value is not ...:
        place[key] = value
    elif head == "[]" or key not in place:
        place[key] = sample(inner, at)
    if isinstance(place[key], dict):
        _complete(place[key], at, rest)
    if rest:
        _put(place[key], inner, tuple(rest), at, value)


def _complete(made: dict[str, Any], path: Path, rest: list[str]) -> None:
    """Add what other rules want: one of several fields, or one field beside another."""
    parent = path[-2] if path[-1] == "[]" else path[-1]
    wanted = rest[0] if rest else ""
    if parent == "toDestinations" and wanted not in ("ip", "cidr", "ports"):
        made["ip"] = "1.2.3.4"
    if parent == "toServices" and wanted != "serviceSelector":
        made |= {"name": "a", "namespace": "b"}
    if parent == "sockets" and wanted not in ("types", "protocols"):
        made["domains"] = ["inet"]
    if parent == "selector" and wanted != "matchExpressions":
        made["matchLabels"] = {"app": "x"}
    if parent == "matchExpressions" and wanted == "values":
        made["operator"] = "In"
    if parent in ("appArmor", "seccomp"):
        made["customProfile"] = "x"
    if parent == "bpf":
        made["customProfile"] = {}


def parse(document: dict[str, Any]) -> None:
    parse_object(document, "m")


def fault(document: dict[str, Any]) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(document)
    return str(caught.value)


def _name(path: Path) -> str:
    return ".".join(path).replace(".[]", "[]")


ALL = [(path, schema) for path, schema in nodes() if path]
OPEN = [path for path, schema in ALL if schema.open]
KNOWN = [(path, schema) for path, schema in ALL if not schema.open]
MAPPINGS = [(path, schema) for path, schema in KNOWN if schema.fields]
INTEGERS = [(path, schema) for path, schema in KNOWN if schema.type == "integer"]
# The kinds of target take different fields, operators different values: they have tests of their own.
WORDS = [(path, schema) for path, schema in KNOWN if schema.enum and path[-1] not in ("kind", "operator")]


def ids(value: Any) -> str | None:
    return _name(value) if isinstance(value, tuple) else ""


def test_there_is_much_to_compare() -> None:
    assert len(KNOWN) > 250
    assert len(OPEN) == 3


@pytest.mark.parametrize(("path", "schema"), KNOWN, ids=ids)
def test_each_field_is_accepted(path: Path, schema: Schema) -> None:
    parse(manifest((*path, "[]") if schema.type == "array" else path))


@pytest.mark.parametrize("path", OPEN, ids=ids)
def test_what_is_not_built_is_refused_by_name(path: Path) -> None:
    assert f"spec.{_name(path)}: {NOT_BUILT}" in fault(manifest(path))


@pytest.mark.parametrize(("path", "schema"), MAPPINGS, ids=ids)
def test_no_other_field_is_accepted(path: Path, schema: Schema) -> None:
    inside = manifest((*path, schema.fields[-1].name)) if not schema.fields[-1].schema.open else manifest(path)
    place = inside["spec"]
    for part in path:
        place = place[0 if part == "[]" else part]
    place["zzz"] = 1
    message = fault(inside)
    assert "unknown field 'zzz'; expected one of " in message
    expected = set(message.rpartition("expected one of ")[2].split(", "))
    fields = {field.name for field in schema.fields if not field.schema.open}
    if path == ("target",):
        assert expected < fields
    else:
        assert expected == fields


@pytest.mark.parametrize(("path", "schema"), MAPPINGS, ids=ids)
def test_what_must_be_given_must_be_given(path: Path, schema: Schema) -> None:
    for field in schema.fields:
        if not field.required:
            continue
        document = manifest((*path, field.name))
        place = document["spec"]
        for part in path:
            place = place[0 if part == "[]" else part]
        del place[field.name]
        assert f"the field '{field.name}' is missing" in fault(document)


@pytest.mark.parametrize(("path", "schema"), INTEGERS, ids=ids)
def test_numbers(path: Path, schema: Schema) -> None:
    assert schema.least is not None
    assert schema.most is not None
    parse(manifest(path, schema.least))
    parse(manifest(path, schema.most))
    assert "out of range" in fault(manifest(path, schema.least - 1))
    if schema.most < (1 << 63) - 1:  # the parser takes what a server cannot keep
        assert "out of range" in fault(manifest(path, schema.most + 1))


@pytest.mark.parametrize(("path", "schema"), WORDS, ids=ids)
def test_words(path: Path, schema: Schema) -> None:
    for word in schema.enum:
        parse(manifest(path, word))
    if path[-1] not in ("action", "op"):  # checked when a policy is compiled
        assert "unknown value 'zzz'" in fault(manifest(path, "zzz"))


@pytest.mark.parametrize(
    ("path", "schema"), [(path, schema) for path, schema in KNOWN if schema.type == "array"], ids=ids
)
def test_lists(path: Path, schema: Schema) -> None:
    if schema.least:
        assert "expected at least one element" in fault(manifest(path, []))
    assert schema.most is not None
    assert "more than the 1000" in fault(manifest(path, ["x"] * (schema.most + 1)))


def test_openapi() -> None:
    proxy, rule = closed("proxy", "not here")
    schema = mapping(
        "A thing.",
        need("name", string("Its name.", most=5, pattern="^a")),
        may("kind", string("Its kind.", enum=("a", "b"))),
        may("count", integer("How many.", 0, 1 << 40)),
        may("list", array("Some.", flag("Or not."), least=1, most=2)),
        Field("labels", Schema("object", values=string("", least=0, most=9))),
        proxy,
        rules=(rule, Rule("true", "never")),
    )
    assert schema.openapi() == {
        "type": "object",
        "description": "A thing.",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "Its name.", "pattern": "^a", "minLength": 1, "maxLength": 5},
            "kind": {"type": "string", "description": "Its kind.", "enum": ["a", "b"]},
            "count": {
                "type": "integer",
                "description": "How many.",
                "format": "int64",
                "minimum": 0,
                "maximum": 1 << 40,
            },
            "list": {
                "type": "array",
                "description": "Some.",
                "minItems": 1,
                "maxItems": 2,
                "items": {"type": "boolean", "description": "Or not.", "default": False},
            },
            "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 9}},
            "proxy": {
                "type": "object",
                "description": "Refused: not here.",
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
        "x-kubernetes-validations": [
            {"rule": "!has(self.proxy)", "message": "proxy: not here"},
            {"rule": "true", "message": "never"},
        ],
    }

# SPDX-License-Identifier: Apache-2.0
"""A manifest as a tree of plain values that know where they stand.

YAML text and JSON objects (from the socket API or a Kubernetes client) become the same tree, so that one parser reads
both and every error names file, line and column where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from varmor.errors import Location, PolicyError

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_VALUES = 50_000

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_STRING_TAGS = frozenset({"tag:yaml.org,2002:str", _TIMESTAMP, "tag:yaml.org,2002:value"})
_SCALAR_TAGS = _STRING_TAGS | {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a manifest: a scalar, a list of values or a mapping of names to values."""

    data: Scalar | tuple[Value, ...] | dict[str, Value]
    where: Location

    def plain(self) -> Any:
        """The same without positions, as JSON values."""
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        if isinstance(self.data, tuple):
            return [value.plain() for value in self.data]
        return self.data


def read_yaml(text: str, source: str) -> list[Value]:
    """All documents of a YAML stream; empty documents are left out.

    Raises:
        PolicyError: the text is too large or too deep, is not YAML, repeats a key, or uses what JSON cannot say.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyError(f"the manifest is larger than {MAX_BYTES} bytes; split it", where=Location(source))
    try:
        _check_size(text, source)
        nodes = [node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
        reader = _YamlReader(source)
        values = [reader.value(node, 0) for node in nodes]
    except yaml.YAMLError as error:
        raise _syntax_error(error, source) from error
    return [value for value in values if value.data is not None]


def read_object(document: object, source: str) -> Value:
    """A JSON value (from :func:`json.loads` or an API client) as a tree.

    Raises:
        PolicyError: it is too large or too deep, or holds what JSON cannot say.
    """
    return _ObjectReader(source).value(document, 0)


def _check_size(text: str, source: str) -> None:
    """Refuse deep nesting before the recursive composer runs."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > 2 * MAX_VALUES:
            raise _too_large(_location(event.start_mark, source))


def _too_large(where: Location) -> PolicyError:
    return PolicyError(
        f"the manifest is nested deeper than {MAX_DEPTH} or holds more than {MAX_VALUES} values", where=where
    )


def _location(mark: Any, source: str) -> Location:
    return Location(source, mark.line + 1, mark.column + 1) if mark is not None else Location(source)


def _syntax_error(error: yaml.YAMLError, source: str) -> PolicyError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = [getattr(error, "context", None), getattr(error, "problem", None)]
    detail = ", ".join(word for word in words if word) or str(error).splitlines()[0]
    return PolicyError(f"not valid YAML: {detail}", where=_location(mark, source))


class _Budget:
    """Counts values while a tree is built: anchors make a small text grow without bound."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def spend(self, depth: int, where: Location) -> None:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise _too_large(where)


class _YamlReader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._budget = _Budget()
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, depth: int) -> Value:
        where = _location(node.start_mark, self._source)
        self._budget.spend(depth, where)
        if isinstance(node, yaml.MappingNode):
            return Value(dict(self._members(node, depth)), where)
        if isinstance(node, yaml.SequenceNode):
            return Value(tuple(self.value(item, depth + 1) for item in node.value), where)
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            where = replace(where, block=True)
        return Value(self._scalar(node, where), where)

    def _members(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, Value]]:
        merged: dict[str, Value] = {}
        own: dict[str, Value] = {}
        for key, item in node.value:
            where = _location(key.start_mark, self._source)
            if key.tag == _MERGE:
                merged = {**self._merged(item, depth, where), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _STRING_TAGS:
                raise PolicyError(f"a key must be a string, found {_shown(key)}; quote it", where=where)
            if key.value in own:
                raise PolicyError(f"the key {key.value!r} is given twice; remove one", where=where)
            own[key.value] = self.value(item, depth + 1)
        yield from {**merged, **own}.items()

    def _merged(self, item: yaml.Node, depth: int, where: Location) -> dict[str, Value]:
        parts = item.value if isinstance(item, yaml.SequenceNode) else [item]
        merged: dict[str, Value] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise PolicyError("a merge key (<<) takes a mapping or a list of mappings", where=where)
            self._budget.spend(depth, where)
            merged = {**dict(self._members(part, depth + 1)), **merged}
        return merged

    def _scalar(self, node: yaml.Node, where: Location) -> Scalar:
        if node.tag not in _SCALAR_TAGS:
            raise PolicyError(f"the tag {node.tag!r} has no meaning here; remove it", where=where)
        if node.tag in _STRING_TAGS:
            return str(node.value)
        try:
            constructed: Scalar = self._scalars.construct_object(node)
        except (ValueError, OverflowError) as error:
            raise PolicyError(f"{node.value!r} is not a number: {error}", where=where) from error
        return constructed


def _shown(node: yaml.Node) -> str:
    return repr(node.value)[:80] if isinstance(node, yaml.ScalarNode) else "a list or mapping"


class _ObjectReader:
    def __init__(self, source: str) -> None:
        self._where = Location(source)
        self._budget = _Budget()

    def value(self, document: object, depth: int) -> Value:
        self._budget.spend(depth, self._where)
        if isinstance(document, str):
            return Value(self._text(document), self._where)
        if document is None or isinstance(document, int | float | bool):
            return Value(document, self._where)
        if isinstance(document, Mapping):
            return Value(dict(self._members(document, depth)), self._where)
        if isinstance(document, Sequence) and not isinstance(document, bytes | bytearray):
            return Value(tuple(self.value(item, depth + 1) for item in document), self._where)
        raise PolicyError(f"a value of type {type(document).__name__} is not JSON", where=self._where)

    def _members(self, document: Mapping[object, object], depth: int) -> Iterator[tuple[str, Value]]:
        for name, item in document.items():
            if not isinstance(name, str):
                raise PolicyError(f"a key must be a string, found {name!r}", where=self._where)
            yield self._text(name), self.value(item, depth + 1)

    def _text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PolicyError(f"the string {text[:80]!r} is not valid Unicode", where=self._where) from error
        return text

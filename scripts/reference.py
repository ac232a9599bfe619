# SPDX-License-Identifier: Apache-2.0
"""Write the API's reference page, ``docs/reference/policy.md``, from its schema: ``python -m scripts.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scripts.collection import ROOT
from varmor.policy import crd, schema_policy
from varmor.policy.schema import Field, Rule, Schema

PAGE = ROOT / "docs" / "reference" / "policy.md"

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by `python -m scripts.reference` from daemon/src/varmor/policy/schema*.py. -->
# Reference: the objects of crd.varmor.org/v1beta1

What policies mean, with examples, is in [policy.md](../policy.md); this page lists every field. `[]` behind a name
means a list of such entries. Fields in **bold** must be given where the mapping around them is given.

`varmor crds` prints the custom resource definitions, which say the same to a Kubernetes API server (1.25 or later):
`varmor crds | kubectl apply --server-side -f -`. Rule names, patterns, addresses and the texts of profiles, which a
server cannot check, are checked by `varmor validate`.
"""


def page() -> str:
    """The whole page."""
    resources = {resource.kind: resource.schema for resource in crd.resources()}
    shared: dict[str, Schema] = {}
    parts = [
        _HEAD,
        "## VarmorPolicy and VarmorClusterPolicy\n",
        "Short names `vpol` and `vcpol`. A VarmorPolicy belongs to a namespace. Both have the same fields.\n",
        *_section("spec", schema_policy.spec(), shared),
        *_section("status", resources["VarmorPolicy"].field("status"), shared),
    ]
    for kind in ("ArmorProfile", "ArmorProfileModel"):
        parts.append(f"## {kind}\n")
        parts.append(f"{resources[kind].description} It belongs to a namespace.\n")
        for field in resources[kind].fields:
            if field.name not in ("apiVersion", "kind", "metadata"):
                parts += _section(field.name, field.schema, shared)
    parts.append("## Mappings that stand in several places\n")
    done: set[str] = set()
    while todo := [title for title in shared if title not in done]:
        done.add(todo[0])
        parts += _section("", shared[todo[0]], shared, title=todo[0])
    return "\n".join(parts)


def _section(name: str, schema: Schema, shared: dict[str, Schema], title: str = "") -> Iterator[str]:
    """A heading and the table below it. Shared mappings that are met on the way are added to ``shared``."""
    yield f"### {title or name}\n"
    if schema.description and not title:
        yield f"{schema.description}\n"
    if schema.enum:
        yield f"One of {_words(schema.enum)}.\n"
    if not schema.fields:
        return
    rows = list(_rows(name, schema, shared))
    yield "| Field | Type | Meaning |\n|---|---|---|"
    for path, field in rows:
        shown = f"**`{path}`**" if field.required else f"`{path}`"
        yield f"| {shown} | {_type(field.schema)} | {_meaning(field.schema)} |"
    yield ""
    rules = [(name or "all", rule) for rule in schema.rules]
    rules += [(path, rule) for path, field in rows for rule in _own_rules(field.schema)]
    if rules:
        yield "Checked besides:\n"
        yield from (f"- `{path}`: {rule.message}" for path, rule in rules)
        yield ""


def _element(schema: Schema) -> Schema:
    """What a list holds; of anything else itself."""
    return _element(schema.items) if schema.items is not None else schema


def _rows(path: str, schema: Schema, shared: dict[str, Schema]) -> Iterator[tuple[str, Field]]:
    """All fields below ``path``, depth first."""
    for field in schema.fields:
        at = f"{path}.{field.name}" if path else field.name
        at += "[]" if field.schema.items is not None else ""
        yield at, field
        inner = _element(field.schema)
        if inner.shared:
            shared.setdefault(inner.shared, inner)
        else:
            yield from _rows(at, inner, shared)


def _own_rules(schema: Schema) -> tuple[Rule, ...]:
    inner = _element(schema)
    return () if inner.shared else inner.rules


def _type(schema: Schema) -> str:
    title = _element(schema).shared
    if title:
        link = f"[{title}](#{title.lower().replace(' ', '-')})"
        return f"list of {link}" if schema.items is not None else link
    if schema.items is not None:
        return f"list of {_plural(schema.items)}"
    if schema.type == "integer":
        return f"integer, {schema.least} to {schema.most}"
    if schema.values is not None:
        return "mapping of strings"
    if schema.type == "boolean":
        return "true or false" if schema.default is None else f"true or false, default {str(schema.default).lower()}"
    return "mapping" if schema.type == "object" else schema.format or "string"


def _plural(schema: Schema) -> str:
    return {"object": "mappings", "string": "strings", "integer": "integers"}[schema.type]


def _meaning(schema: Schema) -> str:
    words = [schema.description.replace("|", "\\|")]
    allowed = schema.items.enum if schema.items is not None else schema.enum
    if allowed:
        words.append(f"One of {_words(allowed)}.")
    return " ".join(word for word in words if word)


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def main() -> int:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

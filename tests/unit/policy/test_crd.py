# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from varmor.policy.crd import definitions, resources


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from nodes(schema[name], f"{path}[]")


def test_names() -> None:
    found = {
        made["metadata"]["name"]: (made["spec"]["scope"], made["spec"]["names"].get("shortNames"))
        for made in definitions()
    }
    assert found == {
        "varmorpolicies.crd.varmor.org": ("Namespaced", ["vpol"]),
        "varmorclusterpolicies.crd.varmor.org": ("Cluster", ["vcpol"]),
        "armorprofiles.crd.varmor.org": ("Namespaced", None),
        "armorprofilemodels.crd.varmor.org": ("Namespaced", None),
    }


def test_one_version_with_a_status() -> None:
    for made in definitions():
        (version,) = made["spec"]["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
        assert version["subresources"] == {"status": {}}
        assert made["spec"]["names"]["listKind"] == made["spec"]["names"]["kind"] + "List"


def test_columns_stand_in_the_schema() -> None:
    for resource in resources():
        for _, kind, path in resource.columns:
            if kind == "date":
                continue
            schema = resource.schema
            for name in path.removeprefix(".").split("."):
                schema = schema.field(name)
            assert schema.type == kind or schema.fields


def test_schemas_are_structural() -> None:
    for made in definitions():
        schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, node in nodes(schema, made["spec"]["names"]["kind"]):
            assert node["type"] in ("object", "array", "string", "integer", "boolean"), path
            assert (node["type"] == "array") == ("items" in node), path
            assert set(node.get("required", ())) <= set(node.get("properties", ())), path
            for rule in node.get("x-kubernetes-validations", ()):
                assert rule["rule"]
                assert "\n" not in rule["message"], path


def test_yaml_has_no_aliases() -> None:
    assert "&id" not in yaml.safe_dump(definitions(), sort_keys=False)

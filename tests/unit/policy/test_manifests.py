# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.unit.manifests import manifest
from tests.unit.policy.test_armor_profile_model import document as model
from varmor.errors import PolicyError
from varmor.policy.manifests import Manifests, parse_manifests


def listed(kind: str, *items: dict[str, Any], version: str = "crd.varmor.org/v1beta1") -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"resourceVersion": ""}, "items": list(items)}


def names(found: Manifests) -> list[str]:
    return [str(policy.key) for policy in found.policies] + [str(each) for each in found.models]


def test_nothing() -> None:
    assert parse_manifests("", "m") == Manifests()
    assert parse_manifests(json.dumps(listed("List", version="v1")), "m") == Manifests()


def test_a_stream_of_both() -> None:
    text = yaml.safe_dump_all([model(), manifest(), manifest(kind="VarmorClusterPolicy")])
    assert names(parse_manifests(text, "m")) == [
        "VarmorPolicy default/web",
        "VarmorClusterPolicy web",
        "ArmorProfileModel demo/varmor-demo-web",
    ]


def test_what_kubectl_prints() -> None:
    text = json.dumps(listed("List", manifest(), model(), version="v1"), indent=2)
    found = parse_manifests(text, "m.json")
    assert len(names(found)) == 2
    assert found.policies[0].where.line > 4
    assert found.policies[0].locate("spec.policy.mode").line > found.policies[0].where.line


def test_a_typed_list_leaves_out_the_kind_of_its_items() -> None:
    bare = {name: value for name, value in manifest().items() if name not in ("kind", "apiVersion")}
    text = json.dumps(listed("VarmorPolicyList", bare, manifest(metadata={"name": "b"})))
    assert names(parse_manifests(text, "m")) == ["VarmorPolicy default/web", "VarmorPolicy default/b"]


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([manifest(), manifest()], "VarmorPolicy default/web: metadata.name: this object is defined twice"),
        ([model(), listed("List", model(), version="v1")], "the first is at m:1:1"),
        ([listed("List", manifest())], "apiVersion: unknown version 'crd.varmor.org/v1beta1'; expected 'v1'"),
        ([{"kind": "List", "apiVersion": "v1"}], "the field 'items' is missing"),
        ([listed("List", {"kind": "Pod"}, version="v1")], "the kind 'Pod' is no policy"),
        ([listed("List", listed("List", version="v1"), version="v1")], "the kind 'List' is no policy"),
        ([listed("PodList")], "the kind 'PodList' is no policy"),
        ([{"kind": "ArmorProfile"}], "made from a policy; give the policy instead"),
        (["x"], "expected a mapping, found a string"),
    ],
)
def test_bad_streams(documents: list[Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_manifests(yaml.safe_dump_all(documents), "m")
    assert words in str(caught.value)
    assert str(caught.value).startswith("m:")

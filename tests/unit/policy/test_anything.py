# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a manifest, the answer is a policy or one clear line."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy import test_schema
from tests.unit.policy.test_armor_profile import document as profile
from tests.unit.policy.test_armor_profile_model import document as model
from varmor.errors import PolicyError
from varmor.policy.armor_profile import parse_armor_profile
from varmor.policy.manifests import parse_manifests
from varmor.policy.parse import parse_object
from varmor.policy.remarks import remarks

WORDS = st.sampled_from(
    [field.name for _, schema in test_schema.ALL for field in schema.fields]
    + ["deny", "allow", "all", "*", "Custom", "B"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@contextlib.contextmanager
def _one_line() -> Any:
    try:
        yield
    except PolicyError as error:
        assert error.problem
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


@given(place=st.sampled_from(test_schema.ALL), value=JSON)
def test_any_value_in_any_place(place: tuple[test_schema.Path, Any], value: Any) -> None:
    document = test_schema.manifest(place[0], value)
    with _one_line():
        parsed = parse_object(document, "m")
        for remark in remarks(parsed):
            assert remark.field in parsed.positions
        assert parse_object(parsed.manifest, "m") == parsed


@given(kind=st.sampled_from([profile(), model()]), name=st.sampled_from(["spec", "data", "status"]), value=JSON)
def test_any_value_in_other_objects(kind: dict[str, Any], name: str, value: Any) -> None:
    document = {**kind, name: value}
    with _one_line():
        parse_armor_profile(document, "m")
    with _one_line():
        parse_manifests(json.dumps(document), "m")


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    with _one_line():
        parse_manifests(text, "m")


@given(
    st.lists(st.sampled_from(["List", "VarmorPolicyList", "ArmorProfileModel", "VarmorPolicy", "ArmorProfile"])), JSON
)
def test_lists_within_lists(kinds: list[str], inner: Any) -> None:
    document: Any = inner
    for kind in kinds:
        version = "v1" if kind == "List" else "crd.varmor.org/v1beta1"
        document = {"apiVersion": version, "kind": kind, "items": [document], "metadata": {"name": "a"}}
    with _one_line():
        parse_manifests(json.dumps(document), "m")

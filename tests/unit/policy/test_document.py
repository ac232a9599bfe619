# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from varmor.errors import PolicyError
from varmor.policy.document import MAX_BYTES, read_object, read_yaml

text = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_object_and_back(value: object) -> None:
    assert read_object(value, "x").plain() == value


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(
    st.dictionaries(printable, st.none() | st.booleans() | st.integers() | printable | st.lists(printable), max_size=5)
)
def test_yaml_and_object_read_alike(value: dict[str, object]) -> None:
    assert [item.plain() for item in read_yaml(yaml.safe_dump(value), "x")] == [value]


def test_positions() -> None:
    (root,) = read_yaml("a: 1\nb:\n  - c: [x, y]\n", "m.yaml")
    assert isinstance(root.data, dict)
    inner = root.data["b"].data
    assert isinstance(inner, tuple)
    assert isinstance(inner[0].data, dict)
    assert str(inner[0].data["c"].where) == "m.yaml:3:8"


def test_anchor_and_merge_key() -> None:
    (root,) = read_yaml("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n", "m")
    assert root.plain()["mine"] == {"x": 1, "y": 3}


def test_timestamp_stays_text() -> None:
    assert read_yaml("a: 2024-01-01\n", "m")[0].plain() == {"a": "2024-01-01"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "m:2:1: the key 'a' is given twice"),
        ("a: [1\n", "not valid YAML"),
        ("a: \tb: c\n", "not valid YAML"),
        ("1: x\n", "a key must be a string, found '1'"),
        ("? [a]\n: x\n", "a key must be a string, found a list or mapping"),
        ("a: !!binary aGk=\n", "has no meaning here"),
        ("a: !thing x\n", "has no meaning here"),
        ("a: {<<: 5}\n", "a merge key"),
        ("a: *nobody\n", "not valid YAML"),
        ("a: \x07\n", "not valid YAML"),
        ("[" * 60 + "]" * 60, "nested deeper"),
        ("a: &x [*x]\n", "nested deeper"),
    ],
)
def test_bad_yaml(text: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_yaml(text, "m")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_large() -> None:
    with pytest.raises(PolicyError, match="larger than 1048576 bytes"):
        read_yaml("#" * (MAX_BYTES + 1), "m")


def test_anchors_do_not_explode() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
    begin = time.perf_counter()
    with pytest.raises(PolicyError, match="more than 50000 values"):
        read_yaml(f"l0: &l0 x\n{levels}\n", "m")
    assert time.perf_counter() - begin < 5


def test_deep_and_large_is_refused_quickly() -> None:
    # Newer versions of libyaml have a limit of their own, which is met first.
    with pytest.raises(PolicyError, match=r"nested deeper|nesting depth"):
        read_yaml("[" * 500_000, "m")


def test_object_that_is_not_json() -> None:
    with pytest.raises(PolicyError, match="not JSON"):
        read_object({"a": {1, 2}}, "m")
    with pytest.raises(PolicyError, match="must be a string"):
        read_object({1: 2}, "m")
    with pytest.raises(PolicyError, match="not valid Unicode"):
        read_object(["\ud800"], "m")

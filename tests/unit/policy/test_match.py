# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import policy
from varmor.policy.match import glob_matches, image_names, matches
from varmor.policy.workload import Workload, WorkloadKind

WEB = Workload(
    WorkloadKind.CONTAINER,
    "containerd/k8s.io/1",
    "web",
    "docker.io/library/nginx:1.25",
    {"app": "web", "tier": "front"},
)
UNIT = Workload(WorkloadKind.UNIT, "nginx.service", "nginx.service")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"name": "web"}, True),
        ({"name": "w*"}, True),
        ({"name": "w?b"}, True),
        ({"name": "we"}, False),
        ({"name": "Web"}, False),
        ({"image": "nginx:*"}, True),
        ({"image": "library/nginx:*"}, True),
        ({"image": "docker.io/library/nginx:1.25"}, True),
        ({"image": "nginx"}, False),
        ({"name": "web", "image": "redis*"}, False),
        ({"selector": {"matchLabels": {"app": "web"}}}, True),
        ({"selector": {"matchLabels": {"app": "api"}}}, False),
        ({"selector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "x"]}]}}, True),
        ({"selector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}}, False),
        ({"selector": {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}}, True),
        ({"selector": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}, False),
        ({"selector": {"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}}, True),
        ({"name": "x", "selector": {"matchLabels": {"app": "web"}}}, False),
    ],
)
def test_container(target: dict[str, object], expected: bool) -> None:
    assert matches(policy(target={"kind": "Container", **target}).target, WEB) is expected


def test_kinds_do_not_mix() -> None:
    unit = policy(target={"kind": "Unit", "name": "nginx.service"}).target
    container = policy(target={"kind": "Container", "name": "nginx.service"}).target
    pod = policy(target={"kind": "Pod", "name": "web"}).target
    assert matches(unit, UNIT)
    assert not matches(unit, WEB)
    assert not matches(container, UNIT)
    assert not matches(pod, WEB)


def test_no_image_matches_no_image_glob() -> None:
    bare = Workload(WorkloadKind.CONTAINER, "x", "web")
    assert not matches(policy(target={"kind": "Container", "image": "*"}).target, bare)
    assert image_names("quay.io/a/b") == ("quay.io/a/b",)


@given(st.text("ab*?[.", max_size=8), st.text("ab[.", max_size=8))
def test_glob_like_fnmatch(pattern: str, name: str) -> None:
    assert glob_matches(pattern, name) is fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def test_many_stars_are_fast() -> None:
    begin = time.perf_counter()
    assert not glob_matches("*a" * 250 + "b", "a" * 5000)
    assert time.perf_counter() - begin < 5

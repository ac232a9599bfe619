# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workload.bundles import put_bundle, put_json
from varmor.workload import bundle
from varmor.workload.containerd import TASKS
from varmor.workload.docker import Docker
from varmor.workload.runtime import IdentityError


@pytest.fixture
def runtime(tmp_path: Path) -> Docker:
    return Docker((tmp_path / "own", tmp_path / "shared"), tmp_path / "data")


def test_identity_from_dockerds_record(tmp_path: Path, runtime: Docker) -> None:
    path = put_bundle(tmp_path / "shared" / TASKS / "moby/abc")
    record = {"Name": "/web", "Config": {"Image": "nginx:1", "Labels": {"app": "shop"}}}
    put_json(tmp_path / "data/containers/abc/config.v2.json", record)
    found = runtime.describe(bundle.read(path), "abc")
    assert found is not None
    assert (found.id, found.name, found.image, found.labels) == ("docker/moby/abc", "web", "nginx:1", {"app": "shop"})


def test_sandboxes(tmp_path: Path, runtime: Docker) -> None:
    path = put_bundle(tmp_path / "own" / TASKS / "moby/abc")
    labels = {"io.kubernetes.docker.type": "podsandbox"}
    put_json(tmp_path / "data/containers/abc/config.v2.json", {"Name": "/x", "Config": {"Labels": labels}})
    assert runtime.describe(bundle.read(path), "abc") is None


def test_a_missing_record_tells_what_to_do(tmp_path: Path, runtime: Docker) -> None:
    path = put_bundle(tmp_path / "own" / TASKS / "moby/abc")
    with pytest.raises(IdentityError, match="data-root"):
        runtime.describe(bundle.read(path), "abc")


def test_places_of_both_containerds(tmp_path: Path, runtime: Docker) -> None:
    own = put_bundle(tmp_path / "own" / TASKS / "moby/a")
    shared = put_bundle(tmp_path / "shared" / TASKS / "moby/b")
    other = put_bundle(tmp_path / "shared" / TASKS / "default/c")
    assert [place.bundle for place in runtime.places()] == [own, shared]
    assert runtime.owns(own)
    assert runtime.owns(shared)
    assert not runtime.owns(other)

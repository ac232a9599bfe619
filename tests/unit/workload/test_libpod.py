# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.unit.workload.bundles import put_bundle, put_json
from varmor.workload import bundle
from varmor.workload.libpod import Libpod

ID = "abc123"


@pytest.fixture
def runtime(tmp_path: Path) -> Libpod:
    return Libpod(tmp_path / "storage", tmp_path / "run", "/nowhere/podman")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return put_bundle(tmp_path / "storage/overlay-containers" / ID / "userdata")


def store(tmp_path: Path, **metadata: str) -> None:
    record = {"id": ID, "names": ["web"], "metadata": json.dumps(metadata)}
    put_json(tmp_path / "storage/overlay-containers/containers.json", [{"id": "other"}, record])


def test_name_and_image_while_podman_holds_its_lock(tmp_path: Path, runtime: Libpod, path: Path) -> None:
    store(tmp_path, **{"image-name": "docker.io/library/nginx:1", "name": "web"})
    found = runtime.describe(bundle.read(path), ID)
    assert found is not None
    assert (found.id, found.name, found.image) == (f"podman/libpod/{ID}", "web", "docker.io/library/nginx:1")
    assert found.labels == {}


def test_labels_from_the_database(tmp_path: Path, runtime: Libpod, path: Path) -> None:
    config = {"name": "web", "rootfsImageName": "nginx:1", "labels": {"app": "shop"}}
    with sqlite3.connect(tmp_path / "storage/db.sql") as database:
        database.execute("CREATE TABLE ContainerConfig (ID TEXT, Name TEXT, PodID TEXT, JSON TEXT)")
        database.execute("INSERT INTO ContainerConfig VALUES (?, 'web', NULL, ?)", (ID, json.dumps(config)))
    database.close()
    found = runtime.describe(bundle.read(path), ID)
    assert found is not None
    assert (found.name, found.image, found.labels) == ("web", "nginx:1", {"app": "shop"})


def test_the_infra_container_of_a_pod_is_a_sandbox(tmp_path: Path, runtime: Libpod, path: Path) -> None:
    store(tmp_path, name="0123456789ab-infra")
    assert runtime.describe(bundle.read(path), ID) is None


def test_crio_lives_in_the_same_storage(tmp_path: Path, runtime: Libpod) -> None:
    annotations = {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.ImageName": "nginx:1"}
    path = put_bundle(tmp_path / "run/overlay-containers/x/userdata", annotations)
    found = runtime.describe(bundle.read(path), "x")
    assert found is not None
    assert (found.runtime, found.image) == ("cri-o", "nginx:1")


def test_places(tmp_path: Path, runtime: Libpod, path: Path) -> None:
    pid_file = tmp_path / "run/overlay-containers" / ID / "userdata/pidfile"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text("31")
    assert [(place.bundle, place.container_id, place.pid) for place in runtime.places()] == [(path, ID, 31)]
    assert runtime.owns(path)
    assert not runtime.owns(tmp_path / "storage/overlay-containers")

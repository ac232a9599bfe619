# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.workload.bundles import put_bundle
from varmor.workload import bundle
from varmor.workload.containerd import TASKS, Containerd, configured_state
from varmor.workload.runtime import IdentityError


def ctr(directory: Path, body: str) -> list[str]:
    """A client that answers like containerd's."""
    script = directory / "ctr"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return [str(script)]


def answer(directory: Path, info: object) -> list[str]:
    return ctr(directory, f"echo \"$@\" > {directory}/words; cat <<'END'\n{json.dumps(info)}\nEND")


def test_image_labels_and_name_from_the_client(tmp_path: Path) -> None:
    path = put_bundle(tmp_path / TASKS / "default/web")
    info = {"ID": "web", "Image": "localhost/nginx:1", "Labels": {"app": "shop", "nerdctl/name": "shop-web"}}
    runtime = Containerd(tmp_path, answer(tmp_path, info))
    found = runtime.describe(bundle.read(path), "web")
    assert found is not None
    assert (found.id, found.name, found.image) == ("containerd/default/web", "shop-web", "localhost/nginx:1")
    assert found.labels["app"] == "shop"
    words = (tmp_path / "words").read_text().split()
    assert words == ["--address", f"{tmp_path}/containerd.sock", "--namespace", "default", "containers", "info", "web"]


def test_pods_need_no_client(tmp_path: Path) -> None:
    annotations = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "app"}
    path = put_bundle(tmp_path / TASKS / "k8s.io/abc", annotations)
    found = Containerd(tmp_path, ["/nowhere/ctr"]).describe(bundle.read(path), "abc")
    assert found is not None
    assert found.name == "app"
    sandbox = put_bundle(tmp_path / TASKS / "k8s.io/s", {"io.kubernetes.cri.container-type": "sandbox"})
    assert Containerd(tmp_path).describe(bundle.read(sandbox), "s") is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'no such container' >&2; exit 1", "no such container"),
        ("echo {", "unknown"),
        ("exec sleep 9", "timed out"),
    ],
)
def test_no_answer_is_an_error_not_an_empty_identity(tmp_path: Path, body: str, words: str) -> None:
    path = put_bundle(tmp_path / TASKS / "default/web")
    with pytest.raises(IdentityError, match=words):
        Containerd(tmp_path, ctr(tmp_path, body), ctr_seconds=0.3).describe(bundle.read(path), "web")


def test_places_and_ownership(tmp_path: Path) -> None:
    web = put_bundle(tmp_path / TASKS / "default/web")
    (web / "init.pid").write_text("12")
    created = put_bundle(tmp_path / TASKS / "default/new")
    docker = put_bundle(tmp_path / TASKS / "moby/abc")
    (tmp_path / TASKS / "default/half").mkdir()
    runtime = Containerd(tmp_path)
    assert [(place.bundle, place.container_id, place.pid) for place in runtime.places()] == [
        (created, "new", 0),
        (web, "web", 12),
    ]
    assert runtime.owns(web)
    assert not runtime.owns(docker)
    assert not runtime.owns(Path("/elsewhere/web"))
    assert list(Containerd(tmp_path / "none").places()) == []


def test_the_state_directory_is_configurable(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert configured_state(config) == Path("/run/containerd")
    config.write_text('version = 2\nstate = "/run/other"\n')
    assert configured_state(config) == Path("/run/other")
    config.write_text("not toml [")
    assert configured_state(config) == Path("/run/containerd")

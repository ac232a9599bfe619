# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.workload.bundles import put_bundle
from varmor.policy.workload import Workload, WorkloadKind
from varmor.workload.bundle import Bundle
from varmor.workload.containers import Containers
from varmor.workload.plain_oci import PlainOci
from varmor.workload.process import Processes
from varmor.workload.runtime import IdentityError, Place


class Engine:
    """A runtime over a directory of bundles."""

    name = "engine"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pids: dict[str, int] = {}
        self.asked: list[str] = []
        self.mute = False

    def owns(self, bundle: Path) -> bool:
        return bundle.is_relative_to(self.root)

    def places(self) -> Iterator[Place]:
        for name, pid in self.pids.items():
            yield Place(self.root / name, name, pid)

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        self.asked.append(container_id)
        if self.mute:
            raise IdentityError(f"container {container_id}: no answer")
        if "sandbox" in bundle.annotations:
            return None
        return Workload(WorkloadKind.CONTAINER, f"engine/x/{container_id}", container_id)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "bundles")


@pytest.fixture
def containers(tmp_path: Path, engine: Engine) -> Containers:
    for pid, state, comm in ((1, "S", "nginx"), (2, "Z", "nginx"), (3, "S", "runc:[2:INIT]")):
        process = tmp_path / f"proc/{pid}"
        process.mkdir(parents=True)
        (process / "stat").write_text(f"{pid} (x) {state} 1")
        (process / "comm").write_text(comm)
    return Containers([engine, PlainOci(tmp_path / "r", tmp_path / "c")], Processes(tmp_path / "proc", tmp_path))


def test_only_containers_whose_own_code_runs(containers: Containers, engine: Engine) -> None:
    for name, pid in (("web", 1), ("dead", 2), ("created", 3), ("none", 0)):
        put_bundle(engine.root / name)
        engine.pids[name] = pid
    assert [(found.workload.name, found.pid) for found in containers.running()] == [("web", 1)]


def test_identities_are_kept_until_the_bundle_changes(containers: Containers, engine: Engine) -> None:
    path = put_bundle(engine.root / "web")
    engine.pids = {"web": 1}
    for _ in range(3):
        assert containers.running()[0].bundle == path
    assert engine.asked == ["web"]
    (path / "config.json").unlink()
    put_bundle(path, {"changed": "y" * 100})
    (path / "keep").touch()
    containers.running()
    assert engine.asked in (["web", "web"], ["web"])  # a file system with coarse times may give the inode again


def test_sandboxes_are_no_workloads(containers: Containers, engine: Engine) -> None:
    put_bundle(engine.root / "pause", {"sandbox": "1"})
    engine.pids = {"pause": 1}
    assert containers.running() == []
    assert containers.identify(engine.root / "pause", "pause") is None


def test_without_an_identity_it_is_asked_again(
    containers: Containers, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    put_bundle(engine.root / "web")
    engine.pids = {"web": 1}
    engine.mute = True
    assert containers.running() == []
    assert containers.running() == []
    assert caplog.text.count("no answer") == 1
    engine.mute = False
    assert len(containers.running()) == 1
    engine.mute = True
    with pytest.raises(IdentityError):
        containers.identify(engine.root / "web", "web")


def test_a_bundle_of_no_engine_is_its_own(containers: Containers, tmp_path: Path) -> None:
    found = containers.identify(put_bundle(tmp_path / "mine", {"app": "x"}), "web")
    assert found is not None
    assert found.id == "oci/default/web"

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from tests.unit.workload.bundles import put_bundle, put_json
from varmor.workload import bundle
from varmor.workload.plain_oci import PlainOci


def test_states_of_runc_and_crun(tmp_path: Path) -> None:
    put_json(tmp_path / "runc/a/state.json", {"init_process_pid": 5, "config": {"labels": ["x=y", "bundle=/b/a"]}})
    put_json(tmp_path / "runc/broken/state.json", [])
    put_json(tmp_path / "crun/b/status", {"pid": 6, "bundle": "/b/b"})
    put_json(tmp_path / "crun/c/status", {"pid": 0, "bundle": "/b/c"})
    places = list(PlainOci(tmp_path / "runc", tmp_path / "crun").places())
    assert [(str(place.bundle), place.container_id, place.pid) for place in places] == [
        ("/b/a", "a", 5),
        ("/b/b", "b", 6),
    ]


def test_annotations_serve_as_labels(tmp_path: Path) -> None:
    found = PlainOci().describe(bundle.read(put_bundle(tmp_path, {"app": "shop"})), "web")
    assert found is not None
    assert (found.id, found.name, found.labels) == ("oci/default/web", "web", {"app": "shop"})

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workload.bundles import put_bundle
from varmor.workload import bundle
from varmor.workload.bundle import BundleError


def test_identity(tmp_path: Path) -> None:
    put_bundle(tmp_path, {"a": "b"}, hostname="web", linux={"cgroupsPath": "/x"})
    found = bundle.read(tmp_path)
    assert (dict(found.annotations), found.hostname, found.cgroup) == ({"a": "b"}, "web", "/x")


def test_values_of_other_types_are_left_out(tmp_path: Path) -> None:
    put_bundle(tmp_path, linux=None)
    (tmp_path / "config.json").write_text('{"annotations": {"a": 1, "b": "c"}, "hostname": null}')
    assert dict(bundle.read(tmp_path).annotations) == {"b": "c"}


@pytest.mark.parametrize(("text", "words"), [("", "not JSON"), ("[]", "expected an object"), (None, "No such file")])
def test_broken_bundles_are_named(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(BundleError, match=words) as caught:
        bundle.read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_config_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_bundle(tmp_path)
    monkeypatch.setattr(bundle, "LARGEST_CONFIG", 4)
    with pytest.raises(BundleError, match="longer than 4"):
        bundle.read(tmp_path)
    assert bundle.read_json(tmp_path / "config.json") is None


@pytest.mark.parametrize(("text", "pid"), [("12\n", 12), ("", 0), ("x", 0), ("99999999999", 0)])
def test_pid_files(tmp_path: Path, text: str, pid: int) -> None:
    (tmp_path / "pid").write_text(text)
    assert bundle.read_pid(tmp_path / "pid") == pid
    assert bundle.read_pid(tmp_path / "none") == 0

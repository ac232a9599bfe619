# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from varmor.kernel import probe, programs
from varmor.kernel.probe import NodeReport
from varmor.kernel.support import YES, no


def test_the_report_is_plain_json() -> None:
    report = NodeReport(
        kernel="6.1", machine="x86_64", security_modules=("bpf",), cgroup_v2=True,
        enforcers={"AppArmor": no("because")}, records={"Audit": YES}, apparmor_parser=(3, 0), programs={"runc": "1.1"},
    )  # fmt: skip
    found = json.loads(json.dumps(report.as_json()))
    assert found["enforcers"] == {"AppArmor": {"ok": False, "reason": "because"}}
    assert found["apparmorParser"] == "3.0"


def test_cgroup_v2_is_the_only_hierarchy(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    assert probe._cgroup_v2(mounts)
    mounts.write_text("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n")
    assert not probe._cgroup_v2(mounts)


def test_programs_that_are_not_there_are_left_out() -> None:
    assert programs.versions(("no-such-program",)) == {}
    assert programs.versions(("bash",))["bash"][0].isdigit()


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-40-amd64", (6, 1)), ("6.12.57+deb13-amd64", (6, 12)), ("7.3", (7, 3)), ("strange", (0, 0))],
)
def test_kernel_version(release: str, version: tuple[int, int]) -> None:
    report = NodeReport(release, "x86_64", (), cgroup_v2=True, enforcers={}, records={})
    assert report.kernel_version == version

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from varmor.workload.systemctl import Systemctl, UnitError, cgroup_of, checked


@pytest.mark.parametrize(
    ("unit", "slice_", "path"),
    [
        ("nginx.service", "system.slice", "/system.slice/nginx.service"),
        ("a@1.service", "system-a.slice", "/system.slice/system-a.slice/a@1.service"),
        ("x.service", "-.slice", "/x.service"),
        ("x.service", "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/x.service"),
        ("memory.service", "system.slice", "/system.slice/_memory.service"),
        ("_x.service", "system.slice", "/system.slice/__x.service"),
    ],
)
def test_where_systemd_puts_cgroups(unit: str, slice_: str, path: str) -> None:
    assert cgroup_of(unit, slice_) == path


@pytest.mark.parametrize(
    "unit", ["nginx", "../x.service", "a/b.service", "x.target", "-x.service", "x.service\n", ".x.service"]
)
def test_names_that_are_no_units(unit: str) -> None:
    with pytest.raises(UnitError, match=r"expected a full name such as nginx\.service"):
        checked(unit)


def program(directory: Path, body: str) -> list[str]:
    script = directory / "systemctl"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return [str(script)]


def test_properties(tmp_path: Path) -> None:
    systemctl = Systemctl(program(tmp_path, 'echo "$@" > $0.words; echo MainPID=7; echo Slice=a=b.slice'))
    assert systemctl.show("x.service", "MainPID", "Slice") == {"MainPID": "7", "Slice": "a=b.slice"}
    words = (tmp_path / "systemctl.words").read_text().split()
    assert words == ["--no-pager", "show", "--property", "MainPID,Slice", "--", "x.service"]


def test_systemds_words_are_kept(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="systemctl daemon-reload: Access denied"):
        Systemctl(program(tmp_path, "echo Access denied >&2; exit 1")).reload()
    with pytest.raises(UnitError, match="timed out"):
        Systemctl(program(tmp_path, "exec sleep 9"), seconds=0.2).show("x.service", "Id")

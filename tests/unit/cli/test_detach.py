# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from pathlib import Path

from varmor.cli.detach import attached, is_running
from varmor.kernel.apparmor import AppArmor


def test_what_is_in_force(tmp_path: Path) -> None:
    pins, profiles, drop_ins, kernel = (tmp_path / name for name in ("pins", "profiles", "units", "kernel"))
    for folder in (pins / "0123", profiles, drop_ins / "web.service.d", kernel):
        folder.mkdir(parents=True)
    (profiles / "varmor-default-web").write_text("")
    (profiles / "usr.bin.other").write_text("")
    (drop_ins / "web.service.d" / "50-varmor.conf").write_text("")
    (drop_ins / "web.service.d" / "60-other.conf").write_text("")
    (kernel / "profiles").write_text("varmor-default-gone (enforce)\nother (enforce)\n")
    assert attached(pins, profiles, drop_ins, AppArmor(kernel=kernel)) == [
        f"BPF programs {pins}/0123",
        "AppArmor profile varmor-default-gone",
        "AppArmor profile varmor-default-web",
        f"drop-in {drop_ins}/web.service.d/50-varmor.conf",
    ]


def test_nothing_is_in_force(tmp_path: Path) -> None:
    assert attached(tmp_path / "none", tmp_path, tmp_path, AppArmor(kernel=tmp_path)) == []


def test_a_daemon_that_listens_runs_be_it_busy_or_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    assert not is_running(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        assert not is_running(path)
        server.listen(1)
        assert is_running(path)
    assert not is_running(path)

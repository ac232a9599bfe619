# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from varmor.profile.types import UnitSettings
from varmor.workload.process import Processes
from varmor.workload.systemctl import Systemctl, UnitError
from varmor.workload.units import Units

SETTINGS = UnitSettings((("AppArmorProfile", "varmor-default-web"), ("SystemCallFilter", "~mount")))


class Manager(Systemctl):
    """Answers from a table; counts reloads."""

    def __init__(self) -> None:
        super().__init__(["/nowhere/systemctl"])
        self.answers: dict[str, str] = {"Slice": "system.slice", "Id": "web.service", "DefaultDependencies": "yes"}
        self.reloads = 0

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        return {name: self.answers.get(name, "") for name in properties}

    def reload(self) -> None:
        self.reloads += 1


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def units(tmp_path: Path, manager: Manager) -> Units:
    return make(tmp_path, manager)


def make(tmp_path: Path, manager: Manager, *, fail_closed: bool = False) -> Units:
    processes = Processes(tmp_path / "proc", tmp_path / "cgroup")
    return Units(tmp_path / "etc", fail_closed=fail_closed, systemctl=manager, processes=processes)


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()


def drop_in(tmp_path: Path) -> str:
    return (tmp_path / "etc/web.service.d/50-varmor.conf").read_text()


def test_the_drop_in(units: Units, tmp_path: Path) -> None:
    assert units.write_drop_in("web.service", SETTINGS)
    lines = drop_in(tmp_path).splitlines()
    assert lines[0] == "# Written by varmord: do not edit, the daemon replaces it."
    assert lines[1].startswith("# Written in boot ")
    assert lines[2:] == [
        "[Unit]",
        "Wants=varmord.service",
        "After=varmord.service",
        "",
        "[Service]",
        "AppArmorProfile=-varmor-default-web",
        "SystemCallFilter=~mount",
    ]
    assert units.drop_ins() == {"web.service"}


def test_closed_waits_for_the_daemon(tmp_path: Path, manager: Manager) -> None:
    make(tmp_path, manager, fail_closed=True).write_drop_in("web.service", SETTINGS)
    assert "AssertPathExists=/run/varmor/ready\n" in drop_in(tmp_path)
    assert "AppArmorProfile=varmor-default-web\n" in drop_in(tmp_path)


def test_the_same_settings_change_nothing(units: Units) -> None:
    assert units.write_drop_in("web.service", SETTINGS)
    assert not units.write_drop_in("web.service", SETTINGS)
    assert units.write_drop_in("web.service", UnitSettings())
    assert not units.write_drop_in("web.service", UnitSettings())


def test_early_units_do_not_wait(units: Units, manager: Manager, tmp_path: Path) -> None:
    manager.answers["DefaultDependencies"] = "no"
    units.write_drop_in("web.service", SETTINGS)
    assert "After=" not in drop_in(tmp_path)


def test_remove(units: Units, tmp_path: Path) -> None:
    units.write_drop_in("web.service", SETTINGS)
    assert units.remove_drop_in("web.service")
    assert not (tmp_path / "etc/web.service.d").exists()
    assert not units.remove_drop_in("web.service")


def test_foreign_drop_ins_are_left_alone(units: Units, tmp_path: Path) -> None:
    (tmp_path / "etc/web.service.d").mkdir()
    (tmp_path / "etc/web.service.d/50-varmor.conf").write_text("[Service]\n")
    (tmp_path / "etc/web.service.d/10-mine.conf").write_text("[Service]\n")
    assert units.drop_ins() == set()
    units.remove_drop_in("web.service")
    assert (tmp_path / "etc/web.service.d/10-mine.conf").exists()


@pytest.mark.parametrize(
    ("unit", "settings", "words"),
    [
        ("varmord.service", SETTINGS, "cannot confine itself"),
        ("x.scope", SETTINGS, "takes no AppArmorProfile, SystemCallFilter"),
        ("web.service", UnitSettings((("AppArmorProfile", "x\nExecStart=/bin/sh"),)), "line break"),
        ("web", SETTINGS, "expected a full name"),
    ],
)
def test_impossible_settings(units: Units, unit: str, settings: UnitSettings, words: str) -> None:
    with pytest.raises(UnitError, match=words):
        units.write_drop_in(unit, settings)


def test_scopes_take_bpf_alone(units: Units) -> None:
    assert units.write_drop_in("x.scope", UnitSettings())


def test_cgroup_of_running_and_stopped_units(units: Units, manager: Manager) -> None:
    assert units.cgroup_path("web.service") == "/system.slice/web.service"
    manager.answers["ControlGroup"] = "/other.slice/web.service"
    assert units.cgroup_path("web.service") == "/other.slice/web.service"
    manager.answers = {}
    assert units.cgroup_path("a-b@1.service") == "/system.slice/system-a\\x2db.slice/a-b@1.service"


def test_main_pid_or_the_first_of_the_cgroup(units: Units, manager: Manager, tmp_path: Path) -> None:
    assert units.main_pid("web.service") == 0
    manager.answers |= {"MainPID": "0", "ControlGroup": "/system.slice/web.service"}
    (tmp_path / "cgroup/system.slice/web.service").mkdir(parents=True)
    (tmp_path / "cgroup/system.slice/web.service/cgroup.procs").write_text("31\n32\n")
    assert units.main_pid("web.service") == 31
    manager.answers["MainPID"] = "7"
    assert units.main_pid("web.service") == 7


def test_a_unit_started_before_the_drop_in_needs_a_restart(units: Units, manager: Manager, tmp_path: Path) -> None:
    manager.answers["MainPID"] = "7"
    (tmp_path / "proc/7").mkdir(parents=True)
    stat = tmp_path / "proc/7/stat"
    stat.write_text("7 (x) S " + "0 " * 18 + "100 0")
    assert not units.seccomp_is_current("web.service")
    units.write_drop_in("web.service", SETTINGS)
    assert not units.seccomp_is_current("web.service")
    stat.write_text("7 (x) S " + "0 " * 18 + "99999999999 0")
    assert units.seccomp_is_current("web.service")
    file = tmp_path / "etc/web.service.d/50-varmor.conf"
    stat.write_text("7 (x) S " + "0 " * 18 + "1 0")
    lines = file.read_text().splitlines()
    lines[1] = "# Written in boot 00000000-0000-0000-0000-000000000000 at 5.00 s."
    file.write_text("\n".join(lines))
    assert units.seccomp_is_current("web.service")

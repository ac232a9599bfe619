# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from varmor.kernel.apparmor import AppArmor
from varmor.kernel.apparmor_parser import AppArmorTextError, Parser
from varmor.kernel.profile_name import ProfileNameError

NAME = "varmor-default-web"


class RecordingParser(Parser):
    """Takes what does not say ``broken``; the kernel's side is the test on the light guest."""

    def __init__(self) -> None:
        super().__init__("/bin/true")
        self.loaded: list[str] = []

    def load(self, name: str, text: str, path: Path) -> None:
        assert path.read_text() == text
        if "broken" in text:
            raise AppArmorTextError(name, "syntax error at line 2", text)
        self.loaded.append(text)


@pytest.fixture
def parser() -> RecordingParser:
    return RecordingParser()


@pytest.fixture
def apparmor(tmp_path: Path, parser: RecordingParser) -> AppArmor:
    for directory in ("etc", "kernel"):
        (tmp_path / directory).mkdir()
    (tmp_path / "kernel/profiles").write_text(
        f"{NAME} (enforce)\n{NAME}//child (enforce)\nlsb_release (enforce)\nvarmor-x (complain)\n"
    )
    (tmp_path / "enabled").write_text("Y\n")
    (tmp_path / "lsm").write_text("capability,apparmor,bpf")
    return AppArmor(tmp_path / "etc", tmp_path / "kernel", tmp_path / "enabled", tmp_path / "lsm", parser)


def test_supported(apparmor: AppArmor) -> None:
    assert apparmor.supported().ok


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("enabled", "N\n", "apparmor=0"),
        ("enabled", None, "has no AppArmor"),
        ("lsm", "capability,bpf", "active are capability, bpf; add it to lsm="),
        ("lsm", None, "mount securityfs"),
        ("kernel/profiles", None, "mount securityfs"),
    ],
)
def test_each_obstacle_has_its_reason(
    apparmor: AppArmor, tmp_path: Path, file: str, text: str | None, reason: str
) -> None:
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_text(text)
    support = apparmor.supported()
    assert not support.ok
    assert reason in support.reason


def test_without_a_parser_the_package_is_named(tmp_path: Path, apparmor: AppArmor) -> None:
    without = AppArmor(
        tmp_path / "etc", tmp_path / "kernel", tmp_path / "enabled", tmp_path / "lsm", Parser("/nowhere/parser")
    )
    assert "install the package" in without.supported().reason or without.parser.path() is not None


def test_state_has_our_top_profiles_only(apparmor: AppArmor) -> None:
    assert apparmor.state() == {NAME: "enforce", "varmor-x": "complain"}


def test_apply_keeps_the_text_for_the_next_boot(apparmor: AppArmor, tmp_path: Path, parser: RecordingParser) -> None:
    apparmor.apply(NAME, "profile one")
    assert apparmor.text(NAME) == "profile one"
    assert apparmor.holds(NAME, "profile one")
    assert not apparmor.holds(NAME, "profile two")
    assert apparmor.files() == {NAME}
    assert len(parser.loaded) == 1
    assert (tmp_path / "etc" / NAME).stat().st_mode & 0o777 == 0o644


def test_a_refused_text_leaves_the_old_file(apparmor: AppArmor, tmp_path: Path) -> None:
    apparmor.apply(NAME, "profile one")
    with pytest.raises(AppArmorTextError):
        apparmor.apply(NAME, "broken")
    assert apparmor.text(NAME) == "profile one"
    assert [entry.name for entry in (tmp_path / "etc").iterdir()] == [NAME]


def test_remove_tells_the_kernel_and_tolerates_absence(apparmor: AppArmor, tmp_path: Path) -> None:
    apparmor.apply(NAME, "profile one")
    apparmor.remove(NAME)
    assert (tmp_path / "kernel/.remove").read_text() == NAME
    assert apparmor.files() == set()
    apparmor.remove(NAME)


@pytest.mark.parametrize("name", ["../etc/shadow", "sshd", "varmor-a/b"])
def test_foreign_names_are_refused_everywhere(apparmor: AppArmor, name: str) -> None:
    with pytest.raises(ProfileNameError):
        apparmor.apply(name, "")
    with pytest.raises(ProfileNameError):
        apparmor.remove(name)
    with pytest.raises(ProfileNameError):
        apparmor.text(name)

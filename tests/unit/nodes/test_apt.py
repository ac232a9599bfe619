# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.nodes import apt
from tests.nodes.errors import NodeError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OWN = [
    apt.Archive("http://mirror.test/debian", "bookworm", KEYRING),
    apt.Archive("http://mirror.test/debian", "bookworm-updates", KEYRING),
    apt.Archive("http://mirror.test/debian-security", "bookworm-security", KEYRING),
    apt.Archive("http://vendor.test/apt", "vendor-bookworm", KEYRING),
]


def suites(name: str) -> list[str]:
    return [archive.suite for archive in apt.archives_for(name, "bookworm", OWN)]


def test_the_own_suite_comes_from_the_configured_mirrors_only() -> None:
    assert suites("bookworm") == ["bookworm", "bookworm-updates", "bookworm-security"]


def test_another_suite_comes_from_the_same_mirrors() -> None:
    archives = apt.archives_for("trixie", "bookworm", OWN)
    assert [(archive.uri, archive.suite) for archive in archives] == [
        ("http://mirror.test/debian", "trixie"),
        ("http://mirror.test/debian", "trixie-updates"),
        ("http://mirror.test/debian-security", "trixie-security"),
    ]


def test_backports_come_with_their_release() -> None:
    assert suites("trixie-backports") == ["trixie", "trixie-backports", "trixie-updates", "trixie-security"]


def test_a_machine_without_a_mirror_is_told_so() -> None:
    with pytest.raises(NodeError, match="no mirror for bookworm"):
        apt.archives_for("bookworm", "bookworm", OWN[3:])


def test_both_formats_of_sources_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text(
        "# a comment\ndeb http://one.test/debian bookworm main contrib\ndeb-src http://one.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/keys/two.gpg] http://two.test/debian bookworm-security main\n"
    )
    (folder / "debian.sources").write_text(
        "Types: deb\n# http://old.test\nURIs: http://three.test/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By: /keys/three.gpg\n\n"
        "Types: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    (folder / "other.list").write_text("deb http://four.test/apt stable extras\n")
    assert apt.machine_archives(tmp_path) == [
        apt.Archive("http://one.test/debian", "bookworm", KEYRING),
        apt.Archive("http://two.test/debian", "bookworm-security", Path("/keys/two.gpg")),
        apt.Archive("http://three.test/debian", "bookworm", Path("/keys/three.gpg")),
        apt.Archive("http://three.test/debian", "bookworm-updates", Path("/keys/three.gpg")),
    ]


def test_a_sources_line_names_the_keyring() -> None:
    assert OWN[0].line() == f"deb [arch=amd64 signed-by={KEYRING}] http://mirror.test/debian bookworm main"


def test_a_suite_is_not_any_text() -> None:
    with pytest.raises(NodeError, match="expected a Debian code name"):
        apt.PackageSource("../etc")

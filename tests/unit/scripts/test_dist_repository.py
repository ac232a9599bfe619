# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts import dist_repository
from scripts.dist_package import DistError

CONTROL = "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@localhost>\nDescription: d\n"


def make_package(folder: Path, name: str) -> Path:
    control = folder / "tree" / name / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(CONTROL.format(name=name))
    target = folder / "repository" / f"{name}_1.0_all.deb"
    target.parent.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", control.parent.parent, target], check=True, capture_output=True)
    return target


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    packages = [make_package(tmp_path, name) for name in ("zulu", "alpha")]
    dist_repository.write(tmp_path / "repository", packages)
    return tmp_path / "repository"


def test_the_index_names_each_package_with_its_hash(repository: Path) -> None:
    stanzas = (repository / "Packages").read_text().split("\n\n")
    assert [stanza.splitlines()[0] for stanza in stanzas] == ["Package: alpha", "Package: zulu"]
    content = (repository / "alpha_1.0_all.deb").read_bytes()
    assert f"Filename: ./alpha_1.0_all.deb\nSize: {len(content)}\n" in stanzas[0]
    assert f"SHA256: {hashlib.sha256(content).hexdigest()}" in stanzas[0]


def test_the_release_file_vouches_for_the_index(repository: Path) -> None:
    index = (repository / "Packages").read_bytes()
    release = (repository / "Release").read_text()
    assert f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n" in release
    assert "Date: Tue, 14 Nov 2023 22:13:20 UTC\n" in release


def test_apt_sees_nothing_but_the_repository(repository: Path) -> None:
    where = str(dist_repository.ON_NODE)
    assert (repository / "sources.list").read_text() == f"deb [trusted=yes] file:{where} ./\n"
    settings = (repository / "apt.conf").read_text()
    assert f'Dir::Etc::sourcelist "{where}/sources.list";' in settings
    assert 'Dir::Etc::sourceparts "-";' in settings


def test_the_archive_is_for_the_node_and_reproducible(repository: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    dist_repository.archive(repository, first)
    dist_repository.archive(repository, second)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        members = {member.name: member for member in tar}
    assert set(members) >= {"varmor/repository/Packages", "varmor/repository/alpha_1.0_all.deb"}
    assert all(member.uid == 0 and member.mtime == 1700000000 for member in members.values())


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.deb"
    broken.write_bytes(b"no package")
    with pytest.raises(DistError, match=r"broken\.deb is not a Debian package"):
        dist_repository.write(tmp_path, [broken])

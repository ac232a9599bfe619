# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.nodes.oci import ImageConfig, Tree, members, merged_path, write_archive

CONFIG = ImageConfig(
    "localhost/web:1", ("web", "-g"), ("sh",), {"PATH": "/bin", "A": "b"}, {"app": "web"}, ports=("80/tcp",)
)


def package(*entries: tuple[str, bytes | None, str]) -> bytes:
    """A package's data: (name, content or None for a folder, target of a link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data, target in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            info.uname = "root"
            if target:
                info.type, info.linkname = tarfile.LNKTYPE, target
            elif data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data or b""))
    return buffer.getvalue()


def sample() -> Tree:
    tree = Tree()
    tree.folder("bin")
    tree.file("bin/web", b"program", 0o755)
    tree.link("bin/sh", "web")
    return tree


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tar", tmp_path / "b.tar"
    other = Tree()
    for name in reversed(list(sample().entries)):
        other.entries[name] = sample().entries[name]
    assert write_archive(first, sample(), CONFIG) == write_archive(second, other, CONFIG)
    assert first.read_bytes() == second.read_bytes()


def test_every_blob_is_named_by_its_digest_and_reachable(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    digest = write_archive(path, sample(), CONFIG)
    files = dict(members(path))
    blobs = {name.removeprefix("blobs/"): data for name, data in files.items() if name.startswith("blobs/")}
    for name, data in blobs.items():
        assert name == f"sha256/{hashlib.sha256(data).hexdigest()}"
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (reference,) = json.loads(files["index.json"])["manifests"]
    assert reference["digest"] == digest
    assert reference["annotations"]["io.containerd.image.name"] == "localhost/web:1"
    manifest = json.loads(blobs[digest.replace(":", "/")])
    for part in (manifest["config"], *manifest["layers"]):
        assert len(blobs[part["digest"].replace(":", "/")]) == part["size"]
    config = json.loads(blobs[manifest["config"]["digest"].replace(":", "/")])
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert config["config"] == {
        "Cmd": ["sh"],
        "Entrypoint": ["web", "-g"],
        "Env": ["A=b", "PATH=/bin"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"app": "web"},
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./bin/dash", "usr/bin/dash"),
        ("./usr/bin/env", "usr/bin/env"),
        ("./libexec/x", "libexec/x"),
        ("./", "."),
        ("./bin/", "bin"),
    ],
)
def test_paths_of_packages_are_those_of_a_merged_system(name: str, expected: str) -> None:
    assert merged_path(name) == expected.removeprefix(".") or merged_path(name) == expected


def test_a_package_keeps_the_links_and_loses_its_documentation() -> None:
    tree = Tree()
    tree.merge_usr()
    data = package(
        ("./bin/", None, ""),
        ("./bin/perl5", b"program", ""),
        ("./bin/perl", b"", "./bin/perl5"),
        ("./usr/share/doc/x/copyright", b"text", ""),
        ("./usr/share/docx", b"kept", ""),
    )
    tree.add_package(data, ("usr/share/doc",))
    assert tree.entries["bin"][0].issym()
    assert tree.entries["usr/bin/perl"][0].linkname == "usr/bin/perl5"
    assert "usr/share/doc/x/copyright" not in tree.entries
    assert "usr/share/docx" in tree.entries
    with tarfile.open(fileobj=io.BytesIO(tree.tar())) as archive:
        infos = archive.getmembers()
    assert infos[-1].name == "usr/bin/perl"
    assert {info.mtime for info in infos} == {0}

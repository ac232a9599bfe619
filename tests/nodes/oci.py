# SPDX-License-Identifier: Apache-2.0
"""Container images as OCI archives, written byte for byte the same from the same files. No registry, no daemon."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_EPOCH = "1970-01-01T00:00:00Z"
_MEDIA = "application/vnd.oci.image"
# Packages of Debian 12 still ship files below these; in an image they are links, as on an installed system.
_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


@dataclass(slots=True)
class Tree:
    """The files of one image layer, by path. A later file of the same path replaces an earlier one."""

    entries: dict[str, tuple[tarfile.TarInfo, bytes]] = field(default_factory=dict)

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder."""
        self._add(path, tarfile.DIRTYPE, mode)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file owned by root."""
        self._add(path, tarfile.REGTYPE, mode, data)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, tarfile.SYMTYPE, 0o777, target=target)

    def merge_usr(self) -> None:
        """Make /bin, /sbin, /lib and /lib64 links into /usr."""
        for name, target in _MERGED.items():
            self.folder(target)
            self.link(name, target)

    def add_package(self, data_tar: bytes, left_out: tuple[str, ...]) -> None:
        """Add a Debian package's files (its data as an uncompressed tar), except below the folders ``left_out``."""
        with tarfile.open(fileobj=io.BytesIO(data_tar)) as archive:
            for member in archive:
                path = merged_path(member.name)
                if not path or path in _MERGED or any(path == name or path.startswith(name + "/") for name in left_out):
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                info = copy.copy(member)
                info.name = path
                if info.islnk():
                    info.linkname = merged_path(info.linkname)
                self.entries[path] = (_normal(info), stream.read() if stream else b"")

    def tar(self) -> bytes:
        """The layer as an uncompressed tar, entries in the order of their paths, hard links last."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for _, (info, data) in sorted(self.entries.items(), key=lambda item: (item[1][0].islnk(), item[0])):
                archive.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    def _add(self, path: str, kind: bytes, mode: int, data: bytes = b"", target: str = "") -> None:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname, info.size = kind, mode, target, len(data)
        self.entries[path] = (_normal(info), data)


def merged_path(name: str) -> str:
    """A package's path relative to the root of a system with merged /usr."""
    path = name.removeprefix("./").strip("/")
    head, slash, rest = path.partition("/")
    return f"{_MERGED[head]}/{rest}" if slash and head in _MERGED else path


def _normal(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uname = info.gname = ""
    info.pax_headers = {}
    return info


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image runs: its name (``localhost/nginx:1``), entrypoint, command, environment and labels."""

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()


def write_archive(path: Path, tree: Tree, config: ImageConfig) -> str:
    """Write the OCI archive; returns the digest of its manifest (``sha256:...``).

    The layer is not compressed: unpacking it on an emulated processor would cost more than the bytes do.
    """
    layer = tree.tar()
    settings = _json(_image_config(config, layer))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", settings),
            "layers": [_descriptor(f"{_MEDIA}.layer.v1.tar", layer)],
        }
    )
    reference = {
        **_descriptor(f"{_MEDIA}.manifest.v1+json", manifest),
        "annotations": {
            "io.containerd.image.name": config.name,
            "org.opencontainers.image.ref.name": config.name.rsplit(":", 1)[-1],
        },
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    index = _json({"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": [reference]})
    archive = Tree()
    archive.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    archive.file("index.json", index)
    for blob in (settings, manifest, layer):
        archive.file(f"blobs/sha256/{_sha256(blob)}", blob)
    path.write_bytes(archive.tar())
    return f"sha256:{_sha256(manifest)}"


def _image_config(config: ImageConfig, layer: bytes) -> dict[str, object]:
    process: dict[str, object] = {"Env": [f"{key}={value}" for key, value in sorted(config.environment.items())]}
    if config.entrypoint:
        process["Entrypoint"] = list(config.entrypoint)
    if config.command:
        process["Cmd"] = list(config.command)
    if config.labels:
        process["Labels"] = dict(sorted(config.labels.items()))
    if config.ports:
        process["ExposedPorts"] = {port: {} for port in config.ports}
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": process,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
        "history": [{"created": _EPOCH, "created_by": "varmor.fleet tests/nodes"}],
    }


def _descriptor(media: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media, "digest": f"sha256:{_sha256(data)}", "size": len(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, by name: for a check of what was written."""
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                yield member.name, stream.read()

# SPDX-License-Identifier: Apache-2.0
"""Debian's stock kernels, unpacked from their packages: image, modules with their index."""

from __future__ import annotations

import lzma
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.nodes.apt import PackageSource
from tests.nodes.cache import entry, sources_digest
from tests.nodes.commands import run
from tests.nodes.errors import NodeError

FULL = "amd64"
CLOUD = "cloud-amd64"
# Hardware that no virtual machine has: two thirds of the bytes of Debian's full kernel.
_UNUSED = (
    "drivers/gpu",
    "drivers/media",
    "drivers/infiniband",
    "drivers/staging",
    "drivers/iio",
    "drivers/mtd",
    "sound",
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel: ``image`` boots, ``modules`` is the folder that belongs at /lib/modules/<release>."""

    package: str
    version: str
    release: str
    folder: Path

    @property
    def image(self) -> Path:
        """The bzImage."""
        return self.folder / "vmlinuz"

    @property
    def modules(self) -> Path:
        """The module tree."""
        return self.folder / "lib" / "modules" / self.release


def kernel(suite: str, flavour: str = FULL) -> Kernel:
    """The newest stock kernel of ``suite``, from the cache or from its package."""
    source = PackageSource(suite)
    meta = f"linux-image-{flavour}"
    needed = source.dependencies([meta]).get(meta, [])
    names = [name for name in needed if re.fullmatch(r"linux-image-\d\S+", name)]
    if not names:
        raise NodeError(f"{suite}: {meta} depends on no linux-image-<release>; found {needed}")
    package, version = names[0], source.version(names[0])
    release = package.removeprefix("linux-image-")
    parts = {"package": package, "version": version, "scripts": sources_digest("kernel.py")}
    folder = entry(f"kernel-{suite}-{flavour}", parts, lambda path: _unpack(source, package, release, path))
    return Kernel(package, version, release, folder)


def _unpack(source: PackageSource, package: str, release: str, folder: Path) -> None:
    (archive,) = source.download([package], folder / "deb")
    tree = folder / "tree"
    run(["dpkg-deb", "-x", str(archive), str(tree)])
    modules = next(path for path in (tree / "usr/lib/modules", tree / "lib/modules") if path.is_dir())
    for name in _UNUSED:
        shutil.rmtree(modules / release / "kernel" / name, ignore_errors=True)
    (folder / "lib").mkdir()
    modules.rename(folder / "lib" / "modules")
    for name in ("vmlinuz", "config", "System.map"):
        (tree / "boot" / f"{name}-{release}").rename(folder / name)
    shutil.rmtree(tree)
    shutil.rmtree(folder / "deb")
    run(["depmod", "-b", str(folder), release])


def load_order(modules: Path, wanted: tuple[str, ...]) -> list[Path]:
    """The files to insmod, in order, for ``wanted`` module names; what is built into the kernel is left out."""
    files: dict[str, tuple[Path, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        files[_module_name(path)] = (modules / path, [_module_name(need) for need in needs.split()])
    builtin = {_module_name(line) for line in (modules / "modules.builtin").read_text().splitlines()}
    ordered: dict[str, Path] = {}

    def visit(name: str) -> None:
        if name in ordered or name in builtin:
            return
        if name not in files:
            raise NodeError(f"{modules}: kernel module {name!r} is neither there nor built in")
        path, needs = files[name]
        for need in reversed(needs):
            visit(need)
        ordered[name] = path

    for name in wanted:
        visit(name)
    return list(ordered.values())


def module_bytes(path: Path) -> bytes:
    """The module as busybox insmod takes it: uncompressed."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")

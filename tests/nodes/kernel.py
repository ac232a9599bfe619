# SPDX-License-Identifier: Apache-2.0
"""Debian's stock kernels, unpacked from their packages: image, modules with their index."""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Mapping
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

    release: str
    version: str
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
    release, packages = packages_of(source.resolve([f"linux-image-{flavour}"]), flavour)
    parts = {"packages": packages, "scripts": sources_digest("kernel.py")}
    names = [f"{package}={version}" for package, version in packages.items()]
    folder = entry(f"kernel-{suite}-{flavour}", parts, lambda path: _unpack(source, names, release, path))
    return Kernel(release, packages[f"linux-image-{release}"], folder)


def packages_of(closure: Mapping[str, str], flavour: str) -> tuple[str, dict[str, str]]:
    """The release of the kernel that a meta package's ``closure`` holds, and the packages that carry its files.

    Up to Linux 6.12 Debian has all in one package; later kernels have their image and modules in several.
    """
    pattern = rf"linux-image-(\d\S*-{re.escape(flavour)})"
    releases = [match[1] for name in closure if (match := re.fullmatch(pattern, name))]
    if len(releases) != 1:
        raise NodeError(f"linux-image-{flavour}: expected one linux-image-<release> below it; found {releases}")
    found = {name: version for name, version in closure.items() if name.endswith(f"-{releases[0]}")}
    return releases[0], dict(sorted(found.items()))


def _unpack(source: PackageSource, packages: list[str], release: str, folder: Path) -> None:
    tree = folder / "tree"
    for archive in source.download(packages, folder / "deb"):
        run(["dpkg-deb", "-x", str(archive), str(tree)])
    modules = next((path for path in (tree / "usr/lib/modules", tree / "lib/modules") if path.is_dir()), None)
    if modules is None:
        raise NodeError(f"{', '.join(packages)}: no folder lib/modules in them")
    for name in _UNUSED:
        shutil.rmtree(modules / release / "kernel" / name, ignore_errors=True)
    (folder / "lib").mkdir()
    modules.rename(folder / "lib" / "modules")
    # Later kernels have the image beside their modules, not in /boot.
    images = (tree / "boot" / f"vmlinuz-{release}", folder / "lib/modules" / release / "vmlinuz")
    image = next((path for path in images if path.is_file()), None)
    if image is None:
        raise NodeError(f"{', '.join(packages)}: no vmlinuz in them, neither in /boot nor beside the modules")
    image.rename(folder / "vmlinuz")
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

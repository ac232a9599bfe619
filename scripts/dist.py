# SPDX-License-Identifier: Apache-2.0
"""Build what a node installs: an offline apt repository, ``dist/SUITE-ARCH/``, and the archive that the role copies.

``python -m scripts.dist [--suite bookworm] [--release] [--into FOLDER]``. Needs Debian's dpkg and apt; the packages
come from the mirrors that the machine itself uses, and are kept in the cache of the test nodes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from scripts import dist_package, dist_repository
from scripts.collection import ROOT
from scripts.dist_package import DistError
from tests.nodes import cache
from tests.nodes.apt import PackageSource
from tests.nodes.errors import NodeError
from tests.nodes.progress import say

ARCHITECTURE = "amd64"
SUITES = ("bookworm", "trixie")
# What a node has before the role comes: Debian's core, systemd, and Python for Ansible. python3-apt is not counted:
# Ansible's own apt module needs it, so the repository can bring it.
_MINIMAL_NODE = ("?essential", "?priority(required)", "apt", "systemd", "python3")
_ALSO = ("python3-apt",)


def dependencies() -> list[str]:
    """The names in the package's Depends field."""
    for line in (dist_package.TEMPLATES / "debian" / "control").read_text().splitlines():
        if line.startswith("Depends:"):
            return [item.partition("(")[0].strip() for item in line.removeprefix("Depends:").split(",")]
    raise DistError("packaging/debian/control has no Depends field")


def beyond_minimal(source: PackageSource) -> dict[str, str]:
    """Name to version of the packages that a minimal node lacks."""
    wanted = source.resolve([*_MINIMAL_NODE, *_ALSO, *dependencies()])
    there = source.resolve(list(_MINIMAL_NODE))
    return {name: version for name, version in sorted(wanted.items()) if name not in there}


def downloaded(suite: str) -> Path:
    """The folder of the cache with the packages that ``varmor`` needs on a node of ``suite``."""
    source = PackageSource(suite)
    packages = beyond_minimal(source)

    def fill(folder: Path) -> None:
        say(f"dist: downloading {len(packages)} packages of {suite}: {', '.join(packages)}")
        source.download([f"{name}={version}" for name, version in packages.items()], folder)

    return cache.entry(f"dist-{suite}", {"suite": suite, "packages": packages}, fill)


def build(suite: str, into: Path, release: bool = False) -> str:
    """Build the repository of one suite below ``into`` and return the package's version."""
    name = f"{suite}-{ARCHITECTURE}"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=into) as scratch:
        folder = Path(scratch) / name
        package = dist_package.build(folder, release)
        for path in downloaded(suite).glob("*.deb"):
            shutil.copy2(path, folder)
        dist_repository.write(folder, folder.glob("*.deb"))
        archive = Path(scratch) / "archive"
        dist_repository.archive(folder, archive)
        _replace(folder, into / name)
        archive.replace(into / f"{name}.tar")
    version = package.name.split("_")[1]
    (into / f"{name}.version").write_text(version + "\n")
    say(f"dist: {name} has varmor {version}, {(into / f'{name}.tar').stat().st_size >> 10} KiB in all")
    return version


def _replace(new: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    new.rename(target)


def main(arguments: list[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.dist", description="Build the package and the offline repository."
    )
    parser.add_argument(
        "--suite", action="append", choices=SUITES, help="Debian release of the nodes (default: bookworm)"
    )
    parser.add_argument("--arch", choices=[ARCHITECTURE], default=ARCHITECTURE, help="architecture of the nodes")
    parser.add_argument("--release", action="store_true", help="carry the plain version instead of version+date.hash")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder for the result (default: dist)")
    options = parser.parse_args(arguments)
    try:
        for suite in options.suite or SUITES[:1]:
            build(suite, options.into, options.release)
    except (DistError, NodeError) as error:
        print(f"dist: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

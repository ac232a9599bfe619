# SPDX-License-Identifier: Apache-2.0
"""apparmor_parser of a Debian release, whatever the machine's own is. It compiles for all that its release mediates."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from tests.nodes.apt import PackageSource
from tests.nodes.cache import entry, sources_digest
from tests.nodes.commands import run

_PACKAGES = ("apparmor", "libc6", "libgcc-s1", "libstdc++6")
# The newest ABI of a release: what a kernel could mediate. Without it the parser would leave out whatever the machine's
# own kernel does not.
_FEATURES: Mapping[str, str] = {"bookworm": "3.0", "trixie": "4.0"}

_PROGRAM = """#!/bin/sh
root=${0%/*}
libraries=x86_64-linux-gnu
program=$root/sbin/apparmor_parser
[ -e "$program" ] || program=$root/usr/sbin/apparmor_parser
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/$libraries:$root/lib/$libraries" "$program" \\
    --config-file /dev/null --base "$root/etc/apparmor.d" --kernel-features "$root/etc/apparmor.d/abi/FEATURES" "$@"
"""

SUITES = tuple(_FEATURES)


def apparmor_parser(suite: str) -> Path:
    """The folder with a release's ``apparmor_parser`` and its ``etc/apparmor.d``; from the cache, or unpacked."""
    source = PackageSource(suite)
    versions = {name: source.version(name) for name in _PACKAGES}
    parts = {"packages": versions, "sources": sources_digest("parsers.py")}
    return entry(f"apparmor-{suite}", parts, lambda folder: _unpack(source, versions, suite, folder))


def _unpack(source: PackageSource, versions: Mapping[str, str], suite: str, folder: Path) -> None:
    packages = folder / "packages"
    for package in source.download([f"{name}={version}" for name, version in versions.items()], packages):
        run(["dpkg-deb", "--extract", str(package), str(folder)])
        package.unlink()
    packages.rmdir()
    if not (folder / "usr/lib64").exists():
        (folder / "usr/lib64").symlink_to("../lib64")
    program = folder / "apparmor_parser"
    program.write_text(_PROGRAM.replace("FEATURES", _FEATURES[suite]))
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

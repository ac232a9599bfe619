# SPDX-License-Identifier: Apache-2.0
"""An apt repository for nodes without network: the package and what it needs beyond a minimal node with Python 3."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

from scripts.dist_package import DistError, source_date

ON_NODE = Path("/var/cache/varmor/repository")
"""Where the role unpacks the repository."""

_PARENT = Path("/var/cache")
_SOURCES = f"deb [trusted=yes] file:{ON_NODE} ./\n"
# Read through APT_CONFIG: apt then sees this repository only, and keeps its lists apart from the node's.
_APT_CONF = f"""\
Dir::Etc::sourcelist "{ON_NODE}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{ON_NODE}/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "false";
Acquire::Languages "none";
"""


def write(folder: Path, packages: Iterable[Path]) -> None:
    """Turn ``folder``, which holds ``packages``, into a flat apt repository."""
    index = "\n".join(_stanza(path) for path in sorted(packages)).encode()
    (folder / "Packages").write_bytes(index)
    (folder / "Release").write_text(_release(index))
    (folder / "sources.list").write_text(_SOURCES)
    (folder / "apt.conf").write_text(_APT_CONF)


def archive(folder: Path, target: Path) -> None:
    """Pack a repository for its way to a node: paths from /var/cache on, the same bytes for the same content."""
    moment = source_date()
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        base = ON_NODE.relative_to(_PARENT)
        for name in (base.parent, base, base / "lists", base / "lists" / "partial"):
            tar.addfile(_member(str(name), moment, directory=True))
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            member = _member(str(base / path.name), moment)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _member(name: str, moment: int, directory: bool = False) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mtime = moment
    member.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    member.mode = 0o755 if directory else 0o644
    member.uname = member.gname = "root"
    return member


def _stanza(path: Path) -> str:
    done = subprocess.run(["dpkg-deb", "--field", str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DistError(f"{path} is not a Debian package: {done.stderr.strip()}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"{done.stdout.rstrip()}\nFilename: ./{path.name}\nSize: {len(content)}\nSHA256: {digest}\n"


def _release(index: bytes) -> str:
    digest = hashlib.sha256(index).hexdigest()
    moment = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(source_date()))
    return f"Origin: varmor.fleet\nLabel: varmor\nDate: {moment}\nSHA256:\n {digest} {len(index)} Packages\n"

# SPDX-License-Identifier: Apache-2.0
"""The Debian package ``varmor``: the unpacked wheel in a private folder, starters, unit, maintainer scripts.

The same input gives the same bytes: times come from ``SOURCE_DATE_EPOCH`` or the last commit that touched the package,
and the version carries the hash of the content, so that a changed package is a new version for apt and for the role.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from scripts.collection import ROOT

TEMPLATES = ROOT / "packaging"
PRIVATE = Path("usr/lib/varmor/python")
BPF_OBJECT = Path("varmor/kernel/bpf/enforcer.bpf.o")
OLDEST_PYTHON = (3, 11)
_INPUTS = ("daemon", "packaging", "scripts/dist_package.py")
# Times before this one do not fit into a zip archive.
_EARLIEST = 315532800

_STARTER = '''#!/usr/bin/python3 {flags}
# SPDX-License-Identifier: Apache-2.0
"""Start {program} from the package's private folder."""

import sys

sys.path.insert(0, "/{private}")

from {module} import main

sys.exit(main())
'''


class DistError(Exception):
    """The package or the repository cannot be built."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A program of the package. Python's flag ``-I`` ignores the user's environment, ``-S`` skips site-packages."""

    path: str
    module: str
    flags: str

    def text(self) -> str:
        """The program's source."""
        program = Path(self.path).name
        return _STARTER.format(flags=self.flags, program=program, private=PRIVATE, module=self.module)


STARTERS = (
    Starter("usr/bin/varmor", "varmor.cli.main", "-I"),
    Starter("usr/sbin/varmord", "varmor.node.daemon", "-I"),
    # It runs for each verb of a container runtime and needs the standard library only: every import counts.
    Starter("usr/bin/varmor-runc", "varmor.runc", "-IS"),
)
# containerd's shims look for `runc` in PATH; the role puts this folder first there.
_COMPLETIONS = f"/{PRIVATE}/varmor/cli/completions"
_LINKS = {
    "usr/lib/varmor/runtime/runc": "/usr/bin/varmor-runc",
    "usr/share/bash-completion/completions/varmor": f"{_COMPLETIONS}/varmor.bash",
    "usr/share/zsh/vendor-completions/_varmor": f"{_COMPLETIONS}/_varmor",
}


def source_date() -> int:
    """Seconds since 1970 for all times in the artefacts."""
    named = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not named:
        done = subprocess.run(
            ["git", "log", "-1", "--format=%ct", "--", *_INPUTS], cwd=ROOT, capture_output=True, text=True, check=False
        )
        named = done.stdout.strip()
    return max(int(named or 0), _EARLIEST)


def build(folder: Path, release: bool = False) -> Path:
    """Build the package into ``folder`` and return its path.

    ``release`` makes it carry the plain version. Raises DistError when the BPF object was not compiled.
    """
    with tempfile.TemporaryDirectory(prefix="varmor-dist-") as scratch:
        tree = Path(scratch) / "tree"
        _unpack(wheel(Path(scratch)), tree / PRIVATE)
        check_syntax(tree / PRIVATE)
        _add_files(tree)
        version = upstream_version(tree / PRIVATE)
        full = version if release else f"{version}+{_moment()}.{content_digest(tree)[:12]}"
        _add_control(tree, full)
        _fix_metadata(tree)
        target = folder / f"varmor_{full}_all.deb"
        folder.mkdir(parents=True, exist_ok=True)
        _run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target)])
        return target


def wheel(folder: Path) -> Path:
    """Build the distribution's wheel into ``folder``."""
    _run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT / "daemon",
    )
    return next(folder.glob("varmor-*.whl"))


def check_syntax(python: Path) -> None:
    """Raise DistError for a file that a node's Python does not accept: the package could not be installed there."""
    for path in sorted(python.rglob("*.py")):
        try:
            ast.parse(path.read_bytes(), filename=str(path), feature_version=OLDEST_PYTHON)
        except SyntaxError as error:
            version = ".".join(str(number) for number in OLDEST_PYTHON)
            name = path.relative_to(python)
            raise DistError(
                f"{name}:{error.lineno}: Python {version} on a node does not accept it: {error.msg}"
            ) from error


def upstream_version(python: Path) -> str:
    """``__version__`` of the unpacked distribution."""
    for line in (python / "varmor" / "__init__.py").read_text().splitlines():
        if line.startswith("__version__"):
            return line.partition("=")[2].strip().strip("\"'")
    raise DistError("daemon/src/varmor/__init__.py has no __version__")


def content_digest(tree: Path) -> str:
    """The SHA-256 over names, modes and contents of all files below ``tree``, and over the maintainer scripts."""
    total = hashlib.sha256()
    for base in (tree, TEMPLATES / "debian"):
        for path in sorted(base.rglob("*")):
            if path.is_symlink():
                total.update(f"{path.relative_to(base)} -> {path.readlink()}\n".encode())
            elif path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                total.update(f"{path.relative_to(base)} {_mode(path):o} {digest}\n".encode())
    return total.hexdigest()


def _moment() -> str:
    return time.strftime("%Y%m%d%H%M", time.gmtime(source_date()))


def _unpack(package: Path, python: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if ".dist-info/" not in name:
                archive.extract(name, python)
    if not (python / BPF_OBJECT).is_file():
        raise DistError(f"the wheel has no {BPF_OBJECT}: run `make bpf` first")


def _add_files(tree: Path) -> None:
    shutil.copytree(TEMPLATES / "files", tree, dirs_exist_ok=True)
    for starter in STARTERS:
        path = tree / starter.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(starter.text())
        path.chmod(0o755)
    for name, target in _LINKS.items():
        link = tree / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _add_control(tree: Path, version: str) -> None:
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}"
        for path in files
    ]
    control = tree / "DEBIAN"
    shutil.copytree(TEMPLATES / "debian", control)
    (control / "md5sums").write_text("\n".join(sums) + "\n")
    text = (control / "control").read_text()
    (control / "control").write_text(text.replace("@VERSION@", version).replace("@INSTALLED_SIZE@", str(size)))


def _fix_metadata(tree: Path) -> None:
    moment = source_date()
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else _mode(path))
        os.utime(path, (moment, moment), follow_symlinks=False)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _run(argv: list[str], cwd: Path | None = None) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DistError(
            f"`{' '.join(argv)}` ended with status {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )

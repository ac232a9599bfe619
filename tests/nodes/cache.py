# SPDX-License-Identifier: Apache-2.0
"""A cache by content: an entry is named by the hash of everything that went into it.

An entry is built in a temporary folder and renamed, so that a killed build leaves nothing half. Builders of the same
kind wait for one another by a file lock; users hold a shared lock on the entry, so that pruning spares what is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.nodes.progress import say

KEPT_ENTRIES = 2
_LOCK_NAME = ".in-use"


def cache_root() -> Path:
    """The folder of all caches: ``$VARMOR_CACHE`` or ``~/.cache/varmor-fleet``."""
    named = os.environ.get("VARMOR_CACHE")
    return Path(named).resolve() if named else Path.home() / ".cache" / "varmor-fleet"


def digest(parts: Mapping[str, object]) -> str:
    """The cache key of ``parts``: the SHA-256 of their canonical JSON."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sources_digest(*names: str) -> str:
    """The hash of files of this package: a change in a script that builds an entry makes another entry."""
    here = Path(__file__).parent
    return digest({name: file_digest(here / name) for name in names})


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock ``path``; waits for the other holder and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another builder that holds {path}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def entry(kind: str, parts: Mapping[str, object], build: Callable[[Path], None]) -> Path:
    """The cache entry of ``kind`` for ``parts``; ``build(folder)`` fills it when it is not there yet."""
    base = cache_root() / kind
    folder = base / digest(parts)
    if folder.is_dir():
        os.utime(folder)
        return folder
    with locked(base / ".lock"):
        if folder.is_dir():
            return folder
        _remove_leftovers(base)
        partial = base / f"{folder.name}.partial"
        partial.mkdir(parents=True)
        began = time.monotonic()
        try:
            build(partial)
            (partial / "key.json").write_text(json.dumps(parts, indent=1, sort_keys=True) + "\n")
            (partial / _LOCK_NAME).touch()
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        say(f"{kind}: built {folder.name[:12]} in {time.monotonic() - began:.0f} s")
        _prune(base, spare=folder)
    return folder


def hold(folder: Path) -> int:
    """A descriptor with a shared lock on an entry. The entry is not pruned while any copy of it is open."""
    descriptor = os.open(folder / _LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _remove_leftovers(base: Path) -> None:
    for partial in base.glob("*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def _prune(base: Path, spare: Path) -> None:
    entries = [path for path in base.iterdir() if path.is_dir() and path != spare and not path.name.startswith(".")]
    entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in entries[KEPT_ENTRIES - 1 :]:
        if _unused(old):
            shutil.rmtree(old, ignore_errors=True)
            say(f"{base.name}: removed the old entry {old.name[:12]}")


def _unused(folder: Path) -> bool:
    try:
        with (folder / _LOCK_NAME).open("r") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""Debian packages from the machine's own apt sources, for any suite, without touching the machine's apt state."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.nodes.cache import cache_root, locked
from tests.nodes.commands import run
from tests.nodes.errors import CommandError, NodeError
from tests.nodes.progress import say

LISTS_VALID_SECONDS = 12 * 3600
ARCHITECTURE = "amd64"
_DEFAULT_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALL_LINE = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Archive:
    """One line of a sources.list: a mirror, a suite and the keyring that signs it."""

    uri: str
    suite: str
    keyring: Path

    def line(self) -> str:
        """The archive as a line of a sources.list."""
        return f"deb [arch={ARCHITECTURE} signed-by={self.keyring}] {self.uri} {self.suite} main"


def machine_suite(os_release: Path = Path("/etc/os-release")) -> str:
    """The code name of the machine's own Debian suite."""
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", os_release.read_text(), re.MULTILINE)
    if match is None:
        raise NodeError(f"{os_release}: no VERSION_CODENAME; test nodes are built on Debian")
    return match[1]


def _one_line_entries(text: str) -> Iterator[Archive]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*\bmain\b.*)", line.strip())
        if match:
            signed = re.search(r"signed-by=(\S+)", match[1] or "")
            yield Archive(match[2], match[3], Path(signed[1]) if signed else _DEFAULT_KEYRING)


def _deb822_entries(text: str) -> Iterator[Archive]:
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        if "deb" not in fields.get("types", "").split() or "main" not in fields.get("components", "").split():
            continue
        if fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        signed = fields.get("signed-by", "")
        keyring = Path(signed) if signed.startswith("/") else _DEFAULT_KEYRING
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Archive(uri, suite, keyring)


def machine_archives(etc: Path = Path("/etc/apt")) -> list[Archive]:
    """All archives with the component main in the machine's apt configuration."""
    found: list[Archive] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix == ".sources":
            found.extend(_deb822_entries(path.read_text()))
        elif path.suffix == ".list" and path.is_file():
            found.extend(_one_line_entries(path.read_text()))
    return found


def archives_for(suite: str, own_suite: str, configured: Iterable[Archive]) -> list[Archive]:
    """The archives of ``suite`` on the mirrors that the machine uses for ``own_suite``.

    ``trixie-backports`` means trixie with its backports. Raises `NodeError` when the machine names no mirror.
    """
    release, _, extra = suite.partition("-")
    tails = {"", "-updates", "-security"}
    chosen: list[Archive] = []
    for archive in configured:
        if not archive.suite.startswith(own_suite):
            continue
        tail = archive.suite.removeprefix(own_suite)
        if tail not in tails:
            continue
        chosen.append(Archive(archive.uri, release + tail, archive.keyring))
        if extra and not tail:
            chosen.append(Archive(archive.uri, suite, archive.keyring))
    if not any(archive.suite == release for archive in chosen):
        raise NodeError(f"the machine's apt configuration has no mirror for {own_suite} main; expected a `deb` entry")
    return list(dict.fromkeys(chosen))


class PackageSource:
    """The packages of one suite: resolve, download. Its apt state lies in the cache, apart from the machine's."""

    def __init__(self, suite: str) -> None:
        if not re.fullmatch(r"[a-z]+(-backports)?", suite):
            raise NodeError(f"suite {suite!r}: expected a Debian code name such as bookworm or trixie-backports")
        self.suite = suite
        self.archives = archives_for(suite, machine_suite(), machine_archives())
        self._root = cache_root() / "apt" / suite
        self._stamp = self._root / "updated"

    @property
    def source_lines(self) -> list[str]:
        """The suite's archives as lines of a sources.list."""
        return [archive.line() for archive in self.archives]

    def resolve(self, packages: Sequence[str]) -> dict[str, str]:
        """Name to version of all that an empty system would install for ``packages``, without recommendations."""
        self._refresh()
        wanted = hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()[:24]
        answer = self._root / f"resolved-{wanted}.json"
        if answer.exists() and answer.stat().st_mtime >= self._stamp.stat().st_mtime:
            stored: dict[str, str] = json.loads(answer.read_text())
            return stored
        text = self._apt("apt-get", "--simulate", "--quiet", "install", *packages)
        found = dict(_INSTALL_LINE.findall(text))
        answer.write_text(json.dumps(found, indent=1, sort_keys=True))
        return found

    def dependencies(self, packages: Sequence[str]) -> dict[str, list[str]]:
        """Each package's own Depends and Pre-Depends: the names, first and other alternatives alike."""
        self._refresh()
        found: dict[str, list[str]] = {}
        text = self._apt("apt-cache", "show", "--no-all-versions", *packages)
        for stanza in text.split("\n\n"):
            name = re.search(r"^Package: (\S+)$", stanza, re.MULTILINE)
            fields = re.findall(r"^(?:Pre-)?Depends: (.*)$", stanza, re.MULTILINE)
            if name:
                found[name[1]] = [re.split(r"[ (:]", item.strip())[0] for item in re.split(r"[,|]", ",".join(fields))]
        return found

    def version(self, package: str) -> str:
        """The version that would be installed; `NodeError` when the suite has no such package."""
        self._refresh()
        match = re.search(r"^\s+Candidate: (\S+)$", self._apt("apt-cache", "policy", package), re.MULTILINE)
        if match is None or match[1] == "(none)":
            raise NodeError(f"package {package!r} is not in {self.suite}")
        return match[1]

    def download(self, packages: Iterable[str], folder: Path) -> list[Path]:
        """Download packages (``name`` or ``name=version``) into ``folder``; returns the .deb files by name."""
        self._refresh()
        folder.mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "--quiet", "download", *packages, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def _refresh(self) -> None:
        if self._fresh():
            return
        with locked(self._root / ".lock"):
            if self._fresh():
                return
            for name in ("state/lists/partial", "cache/archives/partial", "empty"):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            (self._root / "status").touch()
            (self._root / "sources.list").write_text("\n".join(self.source_lines) + "\n")
            (self._root / "preferences").write_text(self._preferences())
            say(f"apt: reading the package lists of {self.suite}")
            try:
                self._apt("apt-get", "--quiet", "update")
            except CommandError as fault:
                if not self._stamp.exists():
                    raise
                words = fault.stderr.strip()[:200]
                say(f"apt: no new lists ({words}); going on with those of {time.ctime(self._age())}")
                return
            self._stamp.write_text("\n".join(self.source_lines))

    def _fresh(self) -> bool:
        if not self._stamp.exists() or self._stamp.read_text() != "\n".join(self.source_lines):
            return False
        return time.time() - self._age() < LISTS_VALID_SECONDS

    def _age(self) -> float:
        return self._stamp.stat().st_mtime

    def _preferences(self) -> str:
        if "-" not in self.suite:
            return ""
        return f"Package: *\nPin: release n={self.suite}\nPin-Priority: 600\n"

    def _apt(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        root = self._root
        options = {
            "Dir::State": root / "state",
            "Dir::State::status": root / "status",
            "Dir::Cache": root / "cache",
            "Dir::Etc::sourcelist": root / "sources.list",
            "Dir::Etc::sourceparts": root / "empty",
            "Dir::Etc::preferences": root / "preferences",
            "Dir::Etc::preferencesparts": root / "empty",
            "APT::Architecture": ARCHITECTURE,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        settings = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return run([program, *settings, *arguments], cwd=cwd, env={"DEBIAN_FRONTEND": "noninteractive"})

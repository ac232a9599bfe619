# SPDX-License-Identifier: Apache-2.0
"""Containers of Podman and CRI-O, which keep theirs in the same kind of storage.

While Podman starts a container it holds the lock that ``podman inspect`` waits for, so its files are read instead:
name and image from the storage's containers.json, labels from its SQLite database (Podman 4.8 and later; the
database of older ones cannot be read from outside, so their labels are known only after the start).
"""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from varmor.policy.workload import Workload, WorkloadKind
from varmor.workload import cri
from varmor.workload.bundle import Bundle, read_json, read_pid, strings
from varmor.workload.runtime import Place

_STORAGE = Path("/var/lib/containers/storage")
_RUN = Path("/run/containers/storage")
_STORAGE_CONFIG = Path("/etc/containers/storage.conf")
_INSPECT_SECONDS = 4.0
_DATABASE_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Libpod:
    """Podman's (root's) and CRI-O's containers."""

    name = "podman"

    def __init__(self, storage: Path | None = None, run: Path | None = None, podman: str = "podman") -> None:
        self._storage = storage or _configured("graphroot", _STORAGE)
        self._run = run or _configured("runroot", _RUN)
        self._podman = podman

    def owns(self, bundle: Path) -> bool:
        """Whether the bundle lies in the container storage."""
        return bundle.name == "userdata" and any(bundle.is_relative_to(top) for top in (self._storage, self._run))

    def places(self) -> Iterator[Place]:
        """The containers that have a pid file."""
        for pid_file in sorted(self._run.glob("*-containers/*/userdata/pidfile")):
            directory = pid_file.parent.relative_to(self._run)
            for top in (self._run, self._storage):
                if (top / directory / "config.json").exists():
                    yield Place(top / directory, pid_file.parent.parent.name, read_pid(pid_file))
                    break

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        """By CRI-O's annotations, else by Podman's storage and database."""
        if cri.is_sandbox(bundle.annotations):
            return None
        if cri.CRIO_TYPE in bundle.annotations:
            return cri.from_crio(bundle.annotations, container_id)
        stored = self._stored(bundle.path, container_id)
        config = self._config(container_id)
        if config.get("isInfra") or str(stored.get("name", "")).endswith("-infra"):
            return None
        labels = strings(config.get("labels")) if config else self._inspected_labels(bundle, container_id)
        return Workload(
            kind=WorkloadKind.CONTAINER,
            id=f"podman/libpod/{container_id}",
            name=str(config.get("name") or stored.get("name") or container_id),
            image=str(config.get("rootfsImageName") or stored.get("image-name") or ""),
            labels=labels,
            runtime=self.name,
            container_id=container_id,
        )

    def _stored(self, bundle: Path, container_id: str) -> dict[str, Any]:
        """The storage library's record: ``name`` and ``image-name``."""
        driver = bundle.parent.parent.name
        records = read_json(self._storage / driver / "containers.json")
        volatile = read_json(self._storage / driver / "volatile-containers.json")
        for record in [*_list(records), *_list(volatile)]:
            if isinstance(record, dict) and record.get("id") == container_id:
                try:
                    metadata = json.loads(record.get("metadata") or "{}")
                except ValueError:
                    metadata = {}
                names = _list(record.get("names"))
                return {"name": names[0] if names else "", **(metadata if isinstance(metadata, dict) else {})}
        return {}

    def _config(self, container_id: str) -> dict[str, Any]:
        """Podman's configuration of a container from its SQLite database; empty without one."""
        database = self._storage / "db.sql"
        if not database.exists():
            return {}
        try:
            connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=_DATABASE_SECONDS)
            try:
                row = connection.execute("SELECT JSON FROM ContainerConfig WHERE ID = ?", (container_id,)).fetchone()
            finally:
                connection.close()
            config = json.loads(row[0]) if row else {}
        except (sqlite3.Error, ValueError) as error:
            _LOG.warning("container %s: podman's database: %s", container_id, error)
            return {}
        return config if isinstance(config, dict) else {}

    def _inspected_labels(self, bundle: Bundle, container_id: str) -> dict[str, str]:
        """Labels of a running container by `podman inspect`; none while it starts (Podman holds its lock)."""
        run = self._run / bundle.path.parent.parent.name / container_id / "userdata/pidfile"
        if not read_pid(run):
            return {}
        command = [self._podman, "container", "inspect", "--format", "{{json .Config.Labels}}", container_id]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_INSPECT_SECONDS, check=True
            )
            return strings(json.loads(done.stdout))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            _LOG.warning("container %s: labels unknown: podman inspect: %s", container_id, error)
            return {}


def _configured(key: str, default: Path, config: Path = _STORAGE_CONFIG) -> Path:
    """A directory that the storage library's configuration names, else its default."""
    try:
        section = tomllib.loads(config.read_text(encoding="utf-8")).get("storage")
    except (OSError, ValueError):
        return default
    value = section.get(key) if isinstance(section, dict) else None
    return Path(value) if isinstance(value, str) and value.startswith("/") else default


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

# SPDX-License-Identifier: Apache-2.0
"""The node's memory: revisions of profiles and the workloads that carry them, in SQLite.

A revision is *staged* (compiled and written down), then *active* (every enforcer has it), later *superseded*; or it
*failed*. At most one
revision of a policy is active. Each change is one transaction with full synchronisation, so that a power loss
leaves the state before or
after it.
"""

from __future__ import annotations

import enum
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from varmor.errors import VarmorError
from varmor.policy.types import PolicyKey, PolicyKind
from varmor.policy.workload import Workload, WorkloadKind
from varmor.profile import codec
from varmor.profile.types import Profile

_LOG = logging.getLogger(__name__)

KEPT_REVISIONS = 5
"""How many revisions of a policy are kept besides the active one."""

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE revision (
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  number INTEGER NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
  profile TEXT NOT NULL, manifest TEXT NOT NULL, source TEXT NOT NULL,
  message TEXT NOT NULL DEFAULT '', created REAL NOT NULL,
  PRIMARY KEY (kind, namespace, name, number)
);
CREATE UNIQUE INDEX one_active ON revision (kind, namespace, name) WHERE state = 'active';
CREATE TABLE workload (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, facts TEXT NOT NULL, profile TEXT NOT NULL,
  cgroup_id INTEGER NOT NULL DEFAULT 0, mount_namespace INTEGER NOT NULL DEFAULT 0, pid INTEGER NOT NULL DEFAULT 0,
  seccomp TEXT NOT NULL DEFAULT '', started REAL NOT NULL, ended REAL
);
CREATE UNIQUE INDEX one_running ON workload (id) WHERE ended IS NULL;
"""


class StoreError(VarmorError):
    """The database cannot be opened or written."""


class RevisionState(enum.StrEnum):
    """The life of a revision."""

    STAGED = "staged"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Revision:
    """A compiled profile with its number (counting from 1 per policy) and digest.

    ``manifest`` is the object it was compiled from, ``source`` the name of that object's file.
    """

    number: int
    digest: str
    state: RevisionState
    profile: Profile
    manifest: dict[str, Any]
    source: str
    message: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workload that carries a profile.

    ``number`` stands for it in kernel tables. ``seccomp`` is the digest of the filter it was started with,
    empty when it has none of ours.
    ``started`` and ``ended`` are seconds since the epoch, ``ended`` None while it runs.
    """

    number: int
    workload: Workload
    profile: str
    cgroup_id: int
    mount_namespace: int
    pid: int
    seccomp: str
    started: float
    ended: float | None


class Store:
    """Revisions and tenants of one node. Not safe for use by several threads at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._migrate()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}; move the file away to start from the policies alone") from error

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise StoreError(
                f"the state was written by a newer varmord (schema {version}, this one knows {_SCHEMA_VERSION})"
            )
        if version == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={_SCHEMA_VERSION};COMMIT;")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # Revisions

    def stage(self, profile: Profile, manifest: dict[str, Any], source: str) -> Revision:
        """Write a new revision down; what was staged before and never became active is marked failed."""
        key = profile.policy
        with self._transaction():
            self._db.execute(
                "UPDATE revision SET state='failed', message='replaced before it became active'"
                " WHERE kind=? AND namespace=? AND name=? AND state='staged'",
                _key(key),
            )
            (last,) = self._db.execute(
                "SELECT coalesce(max(number), 0) FROM revision WHERE kind=? AND namespace=? AND name=?", _key(key)
            ).fetchone()
            self._db.execute(
                "INSERT INTO revision"
                " (kind, namespace, name, number, digest, state, profile, manifest, source, created)"
                " VALUES (?,?,?,?,?,'staged',?,?,?,?)",
                (
                    *_key(key),
                    last + 1,
                    profile.digest,
                    codec.encode(profile),
                    json.dumps(manifest),
                    source,
                    time.time(),
                ),
            )
        return Revision(last + 1, profile.digest, RevisionState.STAGED, profile, manifest, source, "")

    def activate(self, revision: Revision) -> None:
        """Make a staged revision the active one, and forget the oldest ones."""
        key = _key(revision.profile.policy)
        with self._transaction():
            self._db.execute(
                "UPDATE revision SET state='superseded' WHERE kind=? AND namespace=? AND name=? AND state='active'", key
            )
            self._db.execute(
                "UPDATE revision SET state='active', message='' WHERE kind=? AND namespace=? AND name=? AND number=?",
                (*key, revision.number),
            )
            self._db.execute(
                "DELETE FROM revision WHERE kind=? AND namespace=? AND name=? AND state<>'active' AND number<=?",
                (*key, revision.number - KEPT_REVISIONS),
            )

    def fail(self, revision: Revision, message: str) -> None:
        """Mark a revision that could not be put in force."""
        with self._transaction():
            self._db.execute(
                "UPDATE revision SET state='failed', message=? WHERE kind=? AND namespace=? AND name=? AND number=?",
                (message, *_key(revision.profile.policy), revision.number),
            )

    def active(self) -> dict[PolicyKey, Revision]:
        """The active revision of each policy."""
        return {revision.profile.policy: revision for revision in self._revisions("state='active'", ())}

    def revisions(self, key: PolicyKey) -> list[Revision]:
        """All kept revisions of a policy, oldest first."""
        return self._revisions("kind=? AND namespace=? AND name=?", _key(key))

    def forget(self, key: PolicyKey) -> None:
        """Drop all revisions of a policy that is gone."""
        with self._transaction():
            self._db.execute("DELETE FROM revision WHERE kind=? AND namespace=? AND name=?", _key(key))

    def _revisions(self, condition: str, arguments: tuple[str, ...]) -> list[Revision]:
        # `condition` is one of the literals above, never data.
        rows = self._db.execute(f"SELECT * FROM revision WHERE {condition} ORDER BY number", arguments)  # noqa: S608
        found = []
        for row in rows:
            state = RevisionState(row["state"])
            try:
                profile = codec.decode(row["profile"])
            except codec.CodecError as error:
                _LOG.warning("revision %s of %s %s is ignored: %s", row["number"], row["kind"], row["name"], error)
                continue
            manifest = json.loads(row["manifest"])
            found.append(
                Revision(row["number"], row["digest"], state, profile, manifest, row["source"], row["message"])
            )
        return found

    # Tenants

    def admit(
        self,
        workload: Workload,
        profile: str,
        *,
        cgroup_id: int = 0,
        mount_namespace: int = 0,
        pid: int = 0,
        seccomp: str | None = None,
    ) -> Tenant:
        """Write down that a workload carries a profile; a running entry of the same id is updated and keeps
        its number.

        ``seccomp`` None keeps what was written before.
        """
        facts = json.dumps({**asdict(workload), "labels": dict(workload.labels)}, sort_keys=True)
        with self._transaction():
            self._db.execute(
                "INSERT INTO workload (id, facts, profile, cgroup_id, mount_namespace, pid, seccomp, started)"
                " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (id) WHERE ended IS NULL DO UPDATE SET facts=excluded.facts,"
                " profile=excluded.profile, cgroup_id=excluded.cgroup_id, mount_namespace=excluded.mount_namespace,"
                " pid=excluded.pid, seccomp=coalesce(?, seccomp)",
                (workload.id, facts, profile, cgroup_id, mount_namespace, pid, seccomp or "", time.time(), seccomp),
            )
            row = self._db.execute("SELECT * FROM workload WHERE id=? AND ended IS NULL", (workload.id,)).fetchone()
        return _tenant(row)

    def dismiss(self, tenant: Tenant) -> None:
        """Write down that a workload has ended; it is kept for a while so that late records still find it."""
        with self._transaction():
            self._db.execute(
                "UPDATE workload SET ended=? WHERE number=? AND ended IS NULL", (time.time(), tenant.number)
            )

    def tenants(self) -> list[Tenant]:
        """All workloads that are kept, running ones and those that ended lately."""
        return [_tenant(row) for row in self._db.execute("SELECT * FROM workload ORDER BY number")]

    def forget_ended(self, before: float) -> None:
        """Drop workloads that ended before ``before`` (seconds since the epoch)."""
        with self._transaction():
            self._db.execute("DELETE FROM workload WHERE ended < ?", (before,))


def _key(key: PolicyKey) -> tuple[str, str, str]:
    return key.kind.value, key.namespace, key.name


def _tenant(row: sqlite3.Row) -> Tenant:
    facts = json.loads(row["facts"])
    workload = Workload(**{**facts, "kind": WorkloadKind(facts["kind"])})
    return Tenant(
        row["number"],
        workload,
        row["profile"],
        row["cgroup_id"],
        row["mount_namespace"],
        row["pid"],
        row["seccomp"],
        row["started"],
        row["ended"],
    )


def policy_key(kind: str, namespace: str, name: str) -> PolicyKey:
    """A key from its three parts as strings.

    Raises:
        StoreError: the kind is not a policy kind.
    """
    try:
        return PolicyKey(PolicyKind(kind), namespace, name)
    except ValueError as error:
        raise StoreError(f"kind {kind!r} is not a policy kind; expected VarmorPolicy or VarmorClusterPolicy") from error

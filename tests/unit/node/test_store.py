# SPDX-License-Identifier: Apache-2.0
"""Revisions and tenants survive; at most one revision is active."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.profiles import KEY, profile
from varmor.node.store import KEPT_REVISIONS, RevisionState, Store, StoreError, policy_key
from varmor.policy.workload import Workload, WorkloadKind

MANIFEST = {"kind": "VarmorPolicy"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def container(name: str = "web") -> Workload:
    return Workload(
        WorkloadKind.CONTAINER, f"containerd/default/{name}", name, image="nginx", labels={"a": "b"}, container_id=name
    )


def test_a_staged_revision_is_not_active(store: Store) -> None:
    store.stage(profile(), MANIFEST, "web.yaml")
    assert store.active() == {}


def test_activation_supersedes(store: Store) -> None:
    first = store.stage(profile("a"), MANIFEST, "web.yaml")
    store.activate(first)
    second = store.stage(profile("b"), MANIFEST, "web.yaml")
    assert store.active()[KEY].number == first.number
    store.activate(second)
    assert store.active()[KEY].profile == profile("b")
    assert [r.state for r in store.revisions(KEY)] == [RevisionState.SUPERSEDED, RevisionState.ACTIVE]


def test_everything_is_there_after_reopening(store: Store, path: Path) -> None:
    store.activate(store.stage(profile(), MANIFEST, "web.yaml"))
    tenant = store.admit(container(), "varmor-default-web", cgroup_id=77, mount_namespace=8, pid=9, seccomp="ab")
    again = Store(path)
    assert again.active()[KEY].profile.digest == profile().digest
    assert again.active()[KEY].manifest == MANIFEST
    assert again.tenants() == [tenant]
    again.close()


def test_a_revision_that_never_became_active_is_marked(store: Store) -> None:
    store.stage(profile("a"), MANIFEST, "web.yaml")
    store.stage(profile("b"), MANIFEST, "web.yaml")
    assert [r.state for r in store.revisions(KEY)] == [RevisionState.FAILED, RevisionState.STAGED]


def test_failure_keeps_its_words(store: Store) -> None:
    store.fail(store.stage(profile(), MANIFEST, "web.yaml"), "parser said no")
    assert store.revisions(KEY)[-1].message == "parser said no"


def test_old_revisions_are_forgotten_but_never_the_active_one(store: Store) -> None:
    store.activate(store.stage(profile("0"), MANIFEST, "web.yaml"))
    for number in range(1, KEPT_REVISIONS + 4):
        store.activate(store.stage(profile(str(number)), MANIFEST, "web.yaml"))
    assert len(store.revisions(KEY)) == KEPT_REVISIONS
    assert store.active()[KEY].number == KEPT_REVISIONS + 4


def test_an_unreadable_revision_is_said_and_skipped(store: Store, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.activate(store.stage(profile(), MANIFEST, "web.yaml"))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE revision SET profile='{}'")
    database.close()
    assert store.active() == {}
    assert "is ignored: stored profile cannot be read" in caplog.text


def test_admitting_again_keeps_number_and_seccomp(store: Store) -> None:
    first = store.admit(container(), "p", seccomp="ab")
    second = store.admit(container(), "p", cgroup_id=5, pid=6)
    assert (second.number, second.seccomp, second.cgroup_id) == (first.number, "ab", 5)


def test_a_restarted_container_is_a_new_tenant(store: Store) -> None:
    first = store.admit(container(), "p")
    store.dismiss(first)
    assert store.admit(container(), "p").number != first.number


def test_ended_tenants_are_forgotten_after_a_while(store: Store) -> None:
    store.dismiss(store.admit(container(), "p"))
    store.forget_ended(time.time() - 60)
    assert len(store.tenants()) == 1
    store.forget_ended(time.time() + 60)
    assert store.tenants() == []


def test_a_newer_schema_is_refused(store: Store, path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(StoreError, match="newer varmord"):
        Store(path)


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"nonsense" * 200)
    with pytest.raises(StoreError, match="move the file away"):
        Store(tmp_path / "state.db")


def test_policy_key_refuses_other_kinds() -> None:
    with pytest.raises(StoreError, match="'Pod' is not a policy kind"):
        policy_key("Pod", "default", "x")

# SPDX-License-Identifier: Apache-2.0
"""Path rules: opening, and every change of a directory entry. Each attack works without the policy."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import ALL, WRITE, path
from varmor.kernel.bpf.layout import Hook, Reason, Verdict
from varmor.profile.types import Access, BpfProfile

EACCES = f"errno {errno.EACCES}"


@pytest.fixture(params=["overlay", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a protected file, a free neighbour, and a protected directory below another one."""
    base = tmp_path if request.param == "overlay" else Path("/dev/shm") / tmp_path.name
    base.mkdir(exist_ok=True)
    (base / "secret").write_text("secret")
    (base / "open").write_text("open")
    (base / "above" / "inner").mkdir(parents=True)
    (base / "above" / "inner" / "key").write_text("key")
    (base / "other").mkdir()
    return base


ATTACKS = {
    "read": "cat secret",
    "write": "echo x > secret",
    "append": "echo x >> secret",
    "read by another name of the directory": "cat other/../secret",
    "read by symlink": "ln -s secret link && cat link",
    "unlink": "rm -f secret && ! test -e secret",
    "rename away": "mv secret gone",
    "rename over": "mv open secret",
    "hard link": "ln secret second",
    "truncate": "truncate -s 0 secret",
    "chmod": "chmod 777 secret",
    "chown": "chown 1:1 secret",
    "replace": "rm -f secret; ln -s /etc/passwd secret",
    "make a directory": "rm -f secret; mkdir secret",
    "make a node": "rm -f secret; mknod secret c 1 3",
    "rename the directory above": "mv above elsewhere && cat elsewhere/inner/key",
    "rename the directory above into another": "mv above other/ && cat other/above/inner/key",
    "remove a directory": "rm above/inner/key && rmdir above/inner",
}
NEIGHBOURS = {
    "read": "cat open",
    "write": "echo x > open",
    "append": "echo x >> open",
    "unlink": "rm open && ! test -e open",
    "rename": "mv open renamed",
    "link": "ln open second",
    "truncate": "truncate -s 0 open",
    "chmod": "chmod 777 open",
    "directory": "mkdir d && mv d e && rmdir e",
    "list": "ls -l . above",
    "create": "touch new && ln -s open link",
}


def _profile(place: Path) -> BpfProfile:
    return BpfProfile(paths=(path(f"{place}/secret", ALL), path(f"{place}/above/inner{{,/**}}", ALL)))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_works_without_the_policy(free: Cgroup, place: Path, attack: str) -> None:
    result = free.run(f"set -e; cd {place}; {attack}")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_stopped(workload: Workload, place: Path, attack: str) -> None:
    workload.apply(_profile(place))
    result = workload.run(f"set -e; cd {place}; {attack}")
    assert result.returncode != 0
    assert "Permission denied" in result.stderr
    assert (place / "secret").read_text() == "secret"
    assert (place / "above" / "inner" / "key").read_text() == "key"
    assert any(event.denied for event in workload.events())


@pytest.mark.parametrize("attempt", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_neighbour_works(workload: Workload, place: Path, attempt: str) -> None:
    workload.apply(_profile(place))
    result = workload.run(f"set -e; cd {place}; {attempt}")
    assert result.returncode == 0, result.stderr
    assert workload.events() == []


def test_writing_is_denied_and_reading_is_not(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/secret", WRITE),)))
    assert workload.run(f"cat {place}/secret").stdout == "secret"
    assert workload.run(f"echo x >> {place}/secret").returncode != 0
    assert workload.call(lambda: os.close(os.open(place / "secret", os.O_RDONLY | os.O_TRUNC))) == EACCES
    assert (place / "secret").read_text() == "secret"


def test_audit_alone_lets_pass_and_records(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/secret", Access.READ, deny=False),)))
    assert workload.run(f"cat {place}/secret").stdout == "secret"
    events = workload.events()
    assert [(event.verdict, event.path, event.access) for event in events] == [
        (Verdict.AUDIT, f"{place}/secret", Access.READ)
    ]
    assert (events[0].comm, events[0].hook, events[0].uid, events[0].slot) == (
        "cat",
        Hook.FILE_OPEN,
        0,
        workload.slot,
    )
    assert events[0].cgroup_id == workload.cgroup.id
    assert events[0].mount_namespace == Path("/proc/self/ns/mnt").stat().st_ino


def test_denial_without_audit_is_silent(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/secret", ALL, audit=False),)))
    assert workload.run(f"cat {place}/secret").returncode != 0
    assert workload.events() == []


def test_chroot_does_not_change_what_a_rule_matches(workload: Workload, free: Cgroup, place: Path) -> None:
    workload.apply(_profile(place))

    def attack() -> str:
        os.chroot(place)
        return Path("/secret").read_text()

    assert in_child(attack, before=free.enter) == repr("secret")
    assert workload.call(attack) == EACCES
    assert workload.events()[-1].path == f"{place}/secret"


def test_unlinked_file_keeps_its_name(workload: Workload, place: Path) -> None:
    descriptor = os.open(place / "secret", os.O_RDONLY)
    (place / "secret").unlink()
    workload.apply(_profile(place))
    assert workload.call(lambda: os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)) == EACCES
    assert workload.events()[-1].path == f"{place}/secret"
    os.close(descriptor)


def test_path_descriptor_is_judged_when_it_is_opened(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))

    def attack() -> int:
        handle = os.open(place / "secret", os.O_PATH)
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY)

    assert workload.call(attack) == EACCES


def test_exchange_is_judged_both_ways(workload: Workload, free: Cgroup, place: Path) -> None:
    workload.apply(_profile(place))
    libc = ctypes.CDLL(None, use_errno=True)

    def exchange(first: str, second: str) -> None:
        if libc.renameat2(-100, os.fsencode(place / first), -100, os.fsencode(place / second), 2) != 0:
            raise OSError(ctypes.get_errno(), "renameat2")

    assert in_child(lambda: exchange("open", "secret"), before=free.enter) == "None"
    in_child(lambda: exchange("open", "secret"), before=free.enter)
    assert workload.call(lambda: exchange("open", "secret")) == EACCES
    assert workload.call(lambda: exchange("secret", "open")) == EACCES
    assert workload.call(lambda: exchange("other", "above")) == EACCES
    assert workload.call(lambda: exchange("open", "other")) == "None"


def test_directory_moves_freely_where_nothing_below_changes(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path("/**/key", ALL), path("/**/.ssh/**", ALL))))
    assert workload.run(f"mv {place}/above {place}/elsewhere").returncode == 0
    assert workload.run(f"cat {place}/elsewhere/inner/key").returncode != 0
    (place / ".ssh").mkdir()
    assert workload.run(f"mv {place}/.ssh {place}/plain").returncode != 0
    assert workload.events()[-1].reason is Reason.ABOVE_RULE


def test_internal_files_are_not_judged_by_a_path(workload: Workload) -> None:
    workload.apply(BpfProfile(paths=(path("/**/never", ALL), path("/memfd*", ALL))))
    assert workload.call(lambda: os.close(os.memfd_create("x"))) == "None"
    assert workload.run("echo x | cat").stdout == "x\n"
    assert workload.events() == []


def test_long_and_deep_paths_are_judged(workload: Workload, tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(60):
        deep /= "directory-with-a-long-name-0123456789"
    deep.mkdir(parents=True)
    (deep / "secret").write_text("x")
    (deep / "open").write_text("x")
    workload.apply(BpfProfile(paths=(path(f"{tmp_path}/**/secret", ALL), path("/**/*.key", ALL))))
    assert workload.run(f"cat {deep}/secret").returncode != 0
    assert workload.events()[-1].path == f"{deep}/secret"
    assert workload.run(f"cat {deep}/open").stdout == "x"


def test_path_beyond_the_limit_is_refused_and_said(workload: Workload, free: Cgroup, tmp_path: Path) -> None:
    workload.apply(BpfProfile(paths=(path("/never/**", ALL),)))

    def attack() -> int:
        os.chdir(tmp_path)
        for _ in range(24):  # relative steps: the whole path has more than 4096 bytes
            name = "d" * 200
            Path(name).mkdir(exist_ok=True)
            os.chdir(name)
        return os.open(".", os.O_RDONLY)

    assert in_child(attack, before=free.enter) != EACCES
    assert workload.call(attack) == EACCES
    assert workload.events()[-1].reason is Reason.PATH_TOO_LONG

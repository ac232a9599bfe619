# SPDX-License-Identifier: Apache-2.0
"""What is kept about directories is never older than the tree: each path is judged, kept, changed, and judged again."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Workload, pin_directory
from tests.kernel.bpf.rules import ALL, path
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.maps import HashMap
from varmor.profile.types import Access, AllowList, BpfProfile

EACCES = f"errno {errno.EACCES}"
_WAYS = 4
_RENAME_EXCHANGE, _RENAMEAT2 = 2, 316


class _Kept(ctypes.Structure):
    """``struct kept_states`` of daemon/bpf/directory.h."""

    _fields_ = (
        ("revision", ctypes.c_uint64),
        ("dentry", ctypes.c_uint64),
        ("mount", ctypes.c_uint64),
        ("since", ctypes.c_uint64),
        ("sequence", ctypes.c_uint32),
        ("generation", ctypes.c_uint32),
        ("counts", ctypes.c_uint32 * 4),
        ("states", ctypes.c_uint32 * 8),
    )


class _Directory(ctypes.Structure):
    _fields_ = (("generation", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("kept", _Kept * _WAYS))


def writes() -> int:
    """How often states were kept with directories that are in the table."""
    table = HashMap(pin_directory().of(Settings().digest()) / "map_directories", ctypes.c_uint32, _Directory)
    try:
        return sum(kept.sequence // 2 for _index, found in table.items() for kept in found.kept)
    finally:
        table.close()


@pytest.fixture(params=["overlay", "tmpfs"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with two others, a file in each and one deeper. ``secret`` may not be read, nor what is below it."""
    folder = tmp_path if request.param == "overlay" else Path("/dev/shm") / tmp_path.name
    for name in ("free", "other"):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "file").write_text("x")
        (folder / name / "deep" / "file").write_text("x")
    return folder


@pytest.fixture
def guarded(workload: Workload, base: Path) -> Workload:
    """A workload that may not read below ``secret``."""
    workload.apply(BpfProfile(paths=(path(f"{base}/secret{{,/**}}", ALL), path("/**/denied*", ALL))))
    return workload


def read(workload: Workload, file: Path | str) -> str:
    """What a confined process gets that reads a file: ``'ok'``, or an error's number."""

    def act() -> str:
        os.close(os.open(file, os.O_RDONLY))
        return "ok"

    return workload.call(act)


def warm(workload: Workload, *files: Path) -> None:
    """Have the directories of files kept."""
    for file in files:
        assert read(workload, file) == "'ok'"
    before = writes()
    for file in files:
        assert read(workload, file) == "'ok'"
    assert before == writes() > 0


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def exchange(first: Path, second: Path) -> None:
    """Give two directory entries each other's names."""
    libc = ctypes.CDLL(None, use_errno=True)
    at = ctypes.c_long(-100)
    assert (
        libc.syscall(
            ctypes.c_long(_RENAMEAT2), at, os.fsencode(first), at, os.fsencode(second), ctypes.c_long(_RENAME_EXCHANGE)
        )
        == 0
    )


def test_a_directory_is_walked_once(guarded: Workload, base: Path) -> None:
    warm(guarded, base / "free" / "file")
    before = writes()
    for _ in range(3):
        assert read(guarded, base / "free" / "file") == "'ok'"
    assert writes() == before


def test_renaming_files_does_not_matter(guarded: Workload, base: Path) -> None:
    warm(guarded, base / "free" / "file")
    before = writes()
    (base / "other" / "file").rename(base / "other" / "renamed")
    assert read(guarded, base / "free" / "file") == "'ok'"
    assert writes() == before


def test_renaming_a_directory_does(guarded: Workload, base: Path) -> None:
    warm(guarded, base / "free" / "file")
    before = writes()
    (base / "other").rename(base / "another")
    assert read(guarded, base / "free" / "file") == "'ok'"
    assert writes() > before


def _rename(base: Path) -> Path:
    (base / "free").rename(base / "secret")
    return base / "secret"


def _exchange(base: Path) -> Path:
    (base / "secret").mkdir()
    exchange(base / "free", base / "secret")
    return base / "secret"


def _into_secret(base: Path) -> Path:
    (base / "secret").mkdir()
    (base / "free").rename(base / "secret" / "free")
    return base / "secret" / "free"


def _new_directory_at_the_name(base: Path) -> Path:
    shutil.copytree(base / "free", base / "copy")
    shutil.rmtree(base / "free")
    (base / "copy").rename(base / "secret")
    return base / "secret"


MOVES = [_rename, _exchange, _into_secret, _new_directory_at_the_name]


@pytest.mark.parametrize("move", MOVES)
def test_a_directory_that_moves_takes_its_new_rules(
    guarded: Workload, base: Path, move: Callable[[Path], Path]
) -> None:
    warm(guarded, base / "free" / "file", base / "free" / "deep" / "file")
    moved = move(base)
    assert read(guarded, moved / "file") == EACCES
    assert read(guarded, moved / "deep" / "file") == EACCES
    moved.rename(base / "back")
    assert read(guarded, base / "back" / "file") == "'ok'"
    assert read(guarded, base / "back" / "deep" / "file") == "'ok'"


def test_a_file_takes_its_new_name_and_directory(guarded: Workload, base: Path) -> None:
    (base / "secret").mkdir()
    file = base / "free" / "file"
    warm(guarded, file)
    for name in (base / "free" / "denied", base / "secret" / "file"):
        file.rename(name)
        assert read(guarded, name) == EACCES
        name.rename(file)
        assert read(guarded, file) == "'ok'"


def test_names_of_one_inode_are_told_apart(guarded: Workload, base: Path) -> None:
    (base / "secret").mkdir()
    (base / "secret" / "file").hardlink_to(base / "free" / "file")
    for _ in range(3):
        assert read(guarded, base / "free" / "file") == "'ok'"
        assert read(guarded, base / "secret" / "file") == EACCES


@pytest.fixture
def mounts(base: Path) -> Iterator[Path]:
    """``base``, below which a test may mount what it likes: all is removed afterwards."""
    mount("--bind", base, base)
    mount("--make-private", base)
    yield base
    subprocess.run(["umount", "--recursive", base], check=True)


def test_one_directory_under_two_mounts(guarded: Workload, mounts: Path) -> None:
    (mounts / "secret").mkdir()
    warm(guarded, mounts / "free" / "file")
    mount("--bind", mounts / "free", mounts / "secret")
    for _ in range(2):
        assert read(guarded, mounts / "secret" / "file") == EACCES
        assert read(guarded, mounts / "free" / "file") == "'ok'"


def test_a_mount_that_moves(guarded: Workload, mounts: Path) -> None:
    (mounts / "secret").mkdir()
    (mounts / "at").mkdir()
    mount("-t", "tmpfs", "none", mounts / "at")
    (mounts / "at" / "file").write_text("x")
    warm(guarded, mounts / "at" / "file")
    mount("--move", mounts / "at", mounts / "secret")
    assert read(guarded, mounts / "secret" / "file") == EACCES
    mount("--move", mounts / "secret", mounts / "at")
    assert read(guarded, mounts / "at" / "file") == "'ok'"


def test_a_mount_after_another_at_its_address(guarded: Workload, mounts: Path) -> None:
    (mounts / "secret").mkdir()
    (mounts / "at").mkdir()
    for _ in range(12):
        mount("--bind", mounts / "free", mounts / "at")
        assert read(guarded, mounts / "at" / "file") == "'ok'"
        subprocess.run(["umount", mounts / "at"], check=True)
        mount("--bind", mounts / "free", mounts / "secret")
        assert read(guarded, mounts / "secret" / "file") == EACCES
        subprocess.run(["umount", mounts / "secret"], check=True)


def test_a_mounted_file_is_called_by_its_mount_point(guarded: Workload, mounts: Path) -> None:
    target = mounts / "other" / "denied-here"
    target.write_text("")
    warm(guarded, mounts / "free" / "file")
    mount("--bind", mounts / "free" / "file", target)
    for _ in range(2):
        assert read(guarded, target) == EACCES
        assert read(guarded, mounts / "free" / "file") == "'ok'"


def test_a_tree_that_is_detached_while_it_is_kept(guarded: Workload, mounts: Path) -> None:
    (mounts / "at").mkdir()
    mount("-t", "tmpfs", "none", mounts / "at")
    (mounts / "at" / "file").write_text("x")
    warm(guarded, mounts / "at" / "file")
    handle = os.open(mounts / "at", os.O_PATH)
    subprocess.run(["umount", "-l", mounts / "at"], check=True)

    def act() -> str:
        os.close(os.open("file", os.O_RDONLY, dir_fd=handle))
        return "ok"

    assert guarded.call(act) == EACCES
    os.close(handle)


def test_a_directory_that_is_moved_out_of_the_mount_it_is_reached_by(guarded: Workload, mounts: Path) -> None:
    """Its files have no path there: what the kernel calls "/" must not be judged as that."""
    (mounts / "at").mkdir()
    (mounts / "free" / "deep" / "denied").write_text("x")
    mount("--bind", mounts / "free", mounts / "at")

    def attack() -> str:
        handle = os.open(mounts / "at" / "deep", os.O_RDONLY)
        (mounts / "free" / "deep").rename(mounts / "deep")
        os.close(os.open("denied", os.O_RDONLY, dir_fd=handle))
        return "ok"

    assert guarded.call(attack) == EACCES
    assert (mounts / "deep" / "denied").exists()


def test_dentries_and_inodes_that_the_kernel_uses_again(guarded: Workload, base: Path) -> None:
    for turn in range(12):
        name = base / ("free", "secret")[turn % 2]
        shutil.rmtree(name, ignore_errors=True)
        (name / "deep").mkdir(parents=True)
        (name / "deep" / "file").write_text("x")
        for _ in range(2):
            assert read(guarded, name / "deep" / "file") == ("'ok'", EACCES)[turn % 2]
        shutil.rmtree(name)
        Path("/proc/sys/vm/drop_caches").write_text("2")


def test_a_new_revision_counts_at_once(workload: Workload, base: Path) -> None:
    for turn in range(6):
        denied = base / ("free", "other")[turn % 2]
        workload.apply(BpfProfile(paths=(path(f"{denied}/**", Access.READ),)))
        for _ in range(2):
            assert read(workload, base / "free" / "file") == (EACCES if denied.name == "free" else "'ok'")
            assert read(workload, base / "other" / "file") == (EACCES if denied.name == "other" else "'ok'")


def test_profiles_do_not_see_each_others_states(workload: Workload, second_workload: Workload, base: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{base}/free/**", Access.READ),)))
    second_workload.apply(BpfProfile(paths=(path(f"{base}/other/**", Access.READ),)))
    for _ in range(3):
        assert read(workload, base / "free" / "file") == EACCES
        assert read(second_workload, base / "free" / "file") == "'ok'"
        assert read(workload, base / "other" / "file") == "'ok'"
        assert read(second_workload, base / "other" / "file") == EACCES


@pytest.mark.parametrize("length", [1, 62, 63, 64, 65, 255])
def test_names_of_any_length(workload: Workload, base: Path, length: int) -> None:
    good, bad = "a" * length, "b" * length
    for name in (good, bad):
        (base / "free" / name).write_text("x")
    workload.apply(BpfProfile(paths=(path(f"{base}/free/{bad}", Access.READ),)))
    for _ in range(2):
        assert read(workload, base / "free" / good) == "'ok'"
        assert read(workload, base / "free" / bad) == EACCES


def test_the_root_and_what_lies_in_it(workload: Workload) -> None:
    file = Path("/varmor-root-file")
    file.write_text("x")
    workload.apply(BpfProfile(paths=(path("/varmor-root-file", Access.READ), path("//**", Access.READ))))
    for _ in range(2):
        assert read(workload, "/etc/passwd") == "'ok'"
        assert read(workload, "/") == "'ok'"
        assert read(workload, file) == EACCES
    file.unlink()


def test_a_denial_shows_the_whole_path(guarded: Workload, base: Path) -> None:
    (base / "free" / "denied").write_text("x")
    warm(guarded, base / "free" / "file")
    guarded.events()
    assert read(guarded, base / "free" / "denied") == EACCES
    assert [event.path for event in guarded.events()] == [str(base / "free" / "denied")]


def test_a_silent_denial(workload: Workload, base: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{base}/free/file", Access.READ, audit=False),)))
    for _ in range(2):
        assert read(workload, base / "free" / "deep" / "file") == "'ok'"
        assert read(workload, base / "free" / "deep") == "'ok'"
        assert read(workload, base / "free" / "file") == EACCES
    assert workload.events() == []


def test_an_allow_list_is_kept_too(workload: Workload, base: Path) -> None:
    allow = AllowList(deny=True, audit=True, paths=(path(f"{base}/free/**", Access.READ),))
    workload.apply(BpfProfile(allow=allow))
    for _ in range(2):
        assert read(workload, base / "free" / "file") == "'ok'"
        assert read(workload, base / "other" / "file") == EACCES
    (base / "free").rename(base / "gone")
    assert read(workload, base / "gone" / "file") == EACCES


def test_another_thread_that_changes_the_root(guarded: Workload, base: Path) -> None:
    """chroot(2) changes what the kernel calls a path, for all threads at once."""
    (base / "secret").mkdir()
    (base / "secret" / "file").write_text("x")
    folder, root = os.open(base / "secret", os.O_PATH), os.open("/", os.O_PATH)

    def attack() -> int:
        ended, got = threading.Event(), 0

        def toggle() -> None:
            while not ended.is_set():
                os.fchdir(folder)
                os.chroot(".")
                os.fchdir(root)
                os.chroot(".")

        other = threading.Thread(target=toggle)
        other.start()
        for _ in range(500):
            try:
                os.close(os.open("file", os.O_RDONLY, dir_fd=folder))
                got += 1
            except PermissionError:
                pass
        ended.set()
        other.join()
        return got

    assert guarded.call(attack) == "0"
    os.close(folder)
    os.close(root)


def test_nothing_is_kept_of_a_tree_that_is_changing(guarded: Workload, base: Path) -> None:
    (base / "secret").mkdir()
    good, bad = base / "free", base / "secret" / "free"
    started, ended = threading.Event(), threading.Event()

    def toggle() -> None:
        while not ended.is_set():
            good.rename(bad)
            bad.rename(good)
            started.set()

    def opens() -> str:
        for _ in range(300):
            for file in (good / "file", bad / "file", good / "deep" / "file", bad / "deep" / "file"):
                with contextlib.suppress(OSError):
                    os.close(os.open(file, os.O_RDONLY))
        return "done"

    other = threading.Thread(target=toggle)
    other.start()
    try:
        started.wait()
        assert guarded.call(opens) == "'done'"
    finally:
        ended.set()
        other.join()
    assert read(guarded, good / "file") == "'ok'"
    good.rename(bad)
    assert read(guarded, bad / "file") == EACCES
    assert read(guarded, bad / "deep" / "file") == EACCES

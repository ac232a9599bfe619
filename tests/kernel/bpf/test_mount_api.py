# SPDX-License-Identifier: Apache-2.0
"""Mount rules, through the new interface: fsopen, fsmount, open_tree, move_mount."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import mount
from tests.kernel.bpf.system import MS_BIND, MS_MOVE, mount_call, system_call, unshare_mounts
from varmor.kernel.bpf.layout import Hook
from varmor.profile.types import BpfProfile, MountRule

EPERM = f"errno {errno.EPERM}"
AT_FDCWD = -100
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_EVERYTHING, _UMOUNT = 0xFFFFFFFF, 0x200


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


def any_mount(source: str = "**", fstype: str = "*", target: str = "**") -> MountRule:
    """A rule about mounts, whatever their flags are."""
    return mount(source, fstype, _EVERYTHING & ~_UMOUNT, _EVERYTHING, target)


def new_tree(fstype: str, source: str = "none", attributes: int = 0) -> int:
    """A mount that is attached nowhere."""
    handle = system_call(_FSOPEN, fstype.encode(), 0)
    system_call(_FSCONFIG, handle, 1, b"source", source.encode(), 0)
    system_call(_FSCONFIG, handle, 6, None, None, 0)
    return system_call(_FSMOUNT, handle, 0, attributes)


def attach(tree: int, target: Path) -> None:
    """Put it into the caller's tree."""
    system_call(_MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), 4)


def _new(fstype: str, target: Path, source: str = "none", attributes: int = 0) -> Callable[[], None]:
    def attempt() -> None:
        unshare_mounts()
        attach(new_tree(fstype, source, attributes), target)

    return attempt


def _copy(source: str, target: Path, flags: int = 1) -> Callable[[], None]:
    """A bind mount in the new manner; ``flags``: OPEN_TREE_CLONE."""

    def attempt() -> None:
        unshare_mounts()
        attach(system_call(_OPEN_TREE, AT_FDCWD, source.encode(), flags), target)

    return attempt


def test_every_mount(workload: Workload, free: Cgroup, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(),)))
    for attack in (_new("tmpfs", target), _copy("/etc", target)):
        assert in_child(attack, before=free.enter) == "None"
        assert workload.call(attack) == EPERM
    assert {event.hook for event in workload.events()} == {Hook.MOUNT, Hook.MOVE_MOUNT}


def test_by_file_system_type(workload: Workload, free: Cgroup, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(any_mount(fstype="proc"),)))
    assert in_child(_new("proc", target), before=free.enter) == "None"
    assert workload.call(_new("proc", target)) == EPERM
    event = workload.events()[-1]
    assert (event.fstype, event.path) == ("proc", "")
    assert workload.call(_new("tmpfs", target)) == "None"


def test_a_file_system_that_is_used_without_being_attached(workload: Workload, free: Cgroup) -> None:
    def attack() -> None:
        os.open("sys/kernel/hostname", os.O_RDONLY, dir_fd=new_tree("proc"))

    workload.apply(BpfProfile(mounts=(any_mount(fstype="proc"),)))
    assert in_child(attack, before=free.enter) != EPERM
    assert workload.call(attack) == EPERM


def test_by_target(workload: Workload, target: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    workload.apply(BpfProfile(mounts=(any_mount(fstype="tmpfs", target=f"{target}"),)))
    assert workload.call(_new("tmpfs", target)) == EPERM
    event = workload.events()[-1]
    assert (event.hook, event.fstype, event.path, event.target) == (Hook.MOVE_MOUNT, "tmpfs", "none", str(target))
    assert workload.call(_new("tmpfs", tmp_path / "other")) == "None"
    assert workload.call(_new("ramfs", target)) == "None"


def test_by_source(workload: Workload, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(any_mount(source="evil*"),)))
    assert workload.call(_new("tmpfs", target, source="evil-disk")) == EPERM
    assert workload.call(_new("tmpfs", target, source="good-disk")) == "None"


def test_by_flags(workload: Workload, target: Path) -> None:
    writable = mount(flags=0, reverse=1, fstype="tmpfs")
    workload.apply(BpfProfile(mounts=(writable,)))
    assert workload.call(_new("tmpfs", target)) == EPERM
    assert workload.call(_new("tmpfs", target, attributes=1)) == "None"  # MOUNT_ATTR_RDONLY


def test_a_copied_tree_is_a_bind_mount(workload: Workload, free: Cgroup, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(source="/proc{,/**}", fstype="none", flags=MS_BIND, reverse=0),)))
    for source in ("/proc", "/proc/sys", "/proc/self/root/proc", "//proc/./sys"):
        assert in_child(_copy(source, target), before=free.enter) == "None"
        assert workload.call(_copy(source, target)) == EPERM
    event = workload.events()[-1]
    assert (event.path, event.target, event.fstype) == ("/proc/sys", str(target), "none")
    assert workload.call(_copy("/etc", target)) == "None"
    assert workload.call(_copy("/sys", target)) == "None"


def test_a_copied_tree_is_not_a_new_mount_of_its_type(workload: Workload, target: Path, tmp_path: Path) -> None:
    """A directory of a tmpfs that is there already: nothing new is mounted."""
    workload.apply(BpfProfile(mounts=(any_mount(fstype="tmpfs", target=f"{target}"),)))
    (tmp_path / "place").mkdir()

    def attempt() -> None:
        unshare_mounts()
        mount_call("none", tmp_path / "place", "tmpfs", 0)
        (tmp_path / "place" / "inner").mkdir()
        attach(system_call(_OPEN_TREE, AT_FDCWD, os.fsencode(tmp_path / "place" / "inner"), 1), target)

    assert workload.call(attempt) == "None"


def test_moving_what_is_attached(workload: Workload, target: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    workload.apply(BpfProfile(mounts=(mount(source=f"{target}", fstype="none", flags=MS_MOVE, reverse=0),)))

    def attempt(first: Path, second: Path) -> Callable[[], None]:
        def moved() -> None:
            unshare_mounts()
            mount_call("none", "/", "none", 1 << 18 | 16384)
            mount_call("none", first, "tmpfs", 0)
            system_call(_MOVE_MOUNT, AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), 0)

        return moved

    assert workload.call(attempt(target, tmp_path / "other")) == EPERM
    assert workload.call(attempt(tmp_path / "other", target)) == "None"


def test_what_the_kernel_mounts_for_itself(workload: Workload) -> None:
    """A new IPC namespace mounts its message queues: nobody asked for a mount."""
    workload.apply(BpfProfile(mounts=(mount(),)))
    assert workload.call(lambda: system_call(272, 0x08000000)) == "0"
    assert workload.events() == []

# SPDX-License-Identifier: Apache-2.0
"""Mount rules, through the old interface: mount(2), umount(2), pivot_root(2)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import ALL, mount, path
from tests.kernel.bpf.system import MS_BIND, MS_MOVE, MS_PRIVATE, MS_REMOUNT, mount_call, system_call, unshare_mounts
from varmor.kernel.bpf.layout import Hook
from varmor.profile.types import AllowList, BpfProfile

UMOUNT = 0x200


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


ATTACKS = {
    "new file system": "mount -t tmpfs none {0}",
    "bind": "mount -o bind /etc {0}",
    "propagation": "mount -o bind / {0} && mount --make-private {0}",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_every_mount_is_denied(workload: Workload, free: Cgroup, target: Path, attack: str) -> None:
    workload.apply(BpfProfile(mounts=(mount(flags=0xFFFFFFFF & ~UMOUNT),)))
    command = attack.format(target)
    assert free.run(f"unshare -m {_shell(command)}").returncode == 0
    result = workload.run(f"unshare -m {_shell(command)}")
    assert result.returncode != 0, result
    assert workload.events()[-1].hook is Hook.MOUNT


def _shell(command: str) -> str:
    return f"/bin/busybox sh -c '{command}'"


def test_event_says_what_was_mounted(workload: Workload, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(),)))
    workload.cgroup.run_program([*["/bin/busybox", "mount", "-t", "tmpfs", "-o", "nodev", "some-source"], str(target)])
    event = workload.events()[-1]
    assert (event.path, event.fstype, event.mount_flags & 4) == ("some-source", "tmpfs", 4)


def test_by_file_system_type(workload: Workload, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(fstype="proc"),)))
    assert workload.run(f"unshare -m {_shell(f'mount -t proc none {target}')}").returncode != 0
    assert workload.run(f"unshare -m {_shell(f'mount -t tmpfs none {target}')}").returncode == 0


def test_by_source_and_flags(workload: Workload, tmp_path: Path, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(source="/etc{,/**}", fstype="none", flags=MS_BIND, reverse=0),)))
    (tmp_path / "free").mkdir()
    assert workload.run(f"unshare -m {_shell(f'mount -o bind /etc {target}')}").returncode != 0
    assert workload.run(f"unshare -m {_shell(f'mount -o bind /etc/apt {target}')}").returncode != 0
    assert workload.run(f"unshare -m {_shell(f'mount -o bind {tmp_path}/free {target}')}").returncode == 0
    assert workload.run(f"unshare -m {_shell(f'mount -t tmpfs /etc {target}')}").returncode == 0


def test_umount_only_where_the_rule_says_so(workload: Workload, target: Path) -> None:
    command = f"unshare -m {_shell(f'mount -t tmpfs none {target} && umount {target}')}"
    workload.apply(BpfProfile(mounts=(mount(source="/never"),)))
    assert workload.run(command).returncode == 0
    workload.apply(BpfProfile(mounts=(mount(source=f"{target}", fstype="none", flags=UMOUNT, reverse=0),)))
    assert workload.run(command).returncode != 0
    assert workload.events()[-1].hook is Hook.UMOUNT


def test_detached_tree_has_no_path(workload: Workload, free: Cgroup) -> None:
    """open_tree(2) gives a copy of /etc whose root is not /: its files cannot be named, so they are refused."""
    workload.apply(BpfProfile(paths=(path("/etc/hostname", ALL),)))

    def attack() -> bytes:
        tree = system_call(428, -100, b"/etc", 1)  # OPEN_TREE_CLONE
        return os.read(os.open("hostname", os.O_RDONLY, dir_fd=tree), 10)

    assert in_child(attack, before=free.enter).startswith("b'")
    assert workload.call(attack) == f"errno {errno.EACCES}"


EPERM = f"errno {errno.EPERM}"


def _mounting(source: str, target: Path | str, fstype: str = "none", flags: int = 0) -> Callable[[], None]:
    def attempt() -> None:
        unshare_mounts()
        mount_call(source, target, fstype, flags)

    return attempt


def test_target(workload: Workload, free: Cgroup, target: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "other").mkdir()
    workload.apply(BpfProfile(mounts=(mount(target=f"{target}{{,/**}}"),)))
    for spelling in (target, tmp_path / "link", f"{tmp_path}/other/../target", f"/proc/self/root{target}"):
        attack = _mounting("none", spelling, "tmpfs")
        assert in_child(attack, before=free.enter) == "None"
        assert workload.call(attack) == EPERM
    event = workload.events()[-1]
    assert (event.hook, event.path, event.target) == (Hook.MOUNT, "none", str(target))
    assert workload.call(_mounting("none", tmp_path / "other", "tmpfs")) == "None"


def test_source_and_target_must_both_match(workload: Workload, target: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    workload.apply(BpfProfile(mounts=(mount(source="/etc{,/**}", target=f"{target}"),)))
    assert workload.call(_mounting("/etc", target, flags=MS_BIND)) == EPERM
    assert workload.call(_mounting("/etc", tmp_path / "other", flags=MS_BIND)) == "None"
    assert workload.call(_mounting("/usr", target, flags=MS_BIND)) == "None"


def test_a_remount_is_about_what_is_mounted(workload: Workload, free: Cgroup) -> None:
    """The source that the caller gives means nothing then."""
    workload.apply(BpfProfile(mounts=(mount(source="/proc{,/**}", fstype="none", flags=MS_REMOUNT, reverse=0),)))
    attack = _mounting("anything", "/proc", flags=MS_REMOUNT | MS_BIND)
    assert in_child(attack, before=free.enter) == "None"
    assert workload.call(attack) == EPERM
    assert workload.call(_mounting("anything", "/sys", flags=MS_REMOUNT | MS_BIND)) == "None"


def test_a_change_of_propagation_is_about_what_is_mounted(workload: Workload) -> None:
    workload.apply(BpfProfile(mounts=(mount(source="/proc{,/**}", fstype="none", flags=MS_PRIVATE, reverse=0),)))
    assert workload.call(_mounting("anything", "/proc", flags=MS_PRIVATE)) == EPERM
    assert workload.call(_mounting("anything", "/sys", flags=MS_PRIVATE)) == "None"


CROOKED = ("proc", "//proc", "/./proc", "/sys/../proc", "/proc/", "/proc/.", "../proc")


@pytest.mark.parametrize("source", CROOKED)
def test_a_crooked_name_may_be_any_source(workload: Workload, target: Path, source: str) -> None:
    workload.apply(BpfProfile(mounts=(mount(source="/proc{,/**}", fstype="none", flags=MS_BIND, reverse=0),)))

    def attack() -> None:
        os.chdir("/")
        unshare_mounts()
        mount_call(source, target, "none", MS_BIND)

    assert workload.call(attack) == EPERM


@pytest.mark.parametrize("name", ["...", ".hidden", "..hidden", "a.b"])
def test_names_with_dots_are_straight(workload: Workload, tmp_path: Path, target: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    workload.apply(BpfProfile(mounts=(mount(source="/proc{,/**}", fstype="none", flags=MS_BIND, reverse=0),)))
    assert workload.call(_mounting(f"{tmp_path}/{name}", target, flags=MS_BIND)) == "None"


def test_moving_a_mount(workload: Workload, target: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    workload.apply(BpfProfile(mounts=(mount(source=f"{target}", fstype="none", flags=MS_MOVE, reverse=0),)))

    def attempt(first: Path, second: Path) -> Callable[[], None]:
        def moved() -> None:
            unshare_mounts()
            mount_call("none", "/", "none", MS_PRIVATE | 16384)
            mount_call("none", first, "tmpfs", 0)
            mount_call(str(first), second, "none", MS_MOVE)

        return moved

    assert workload.call(attempt(target, tmp_path / "other")) == EPERM
    assert workload.call(attempt(tmp_path / "other", target)) == "None"


def test_pivot_root(workload: Workload, free: Cgroup, target: Path) -> None:
    def attack() -> None:
        unshare_mounts()
        mount_call("none", "/", "none", MS_PRIVATE | 16384)
        mount_call("none", target, "tmpfs", 0)
        (target / "old").mkdir()
        system_call(155, os.fsencode(target), os.fsencode(target / "old"))

    assert in_child(attack, before=free.enter) == "None"
    workload.apply(BpfProfile(mounts=(mount(source=f"{target}", fstype="none", flags=MS_MOVE, reverse=0),)))
    assert workload.call(attack) == EPERM
    event = workload.events()[-1]
    assert (event.path, event.target) == (str(target), f"{target}/old")
    workload.apply(BpfProfile(mounts=(mount(source="/elsewhere", fstype="none", flags=MS_MOVE, reverse=0),)))
    assert workload.call(attack) == "None"


def test_allow_list(workload: Workload, target: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    allowed = mount(fstype="tmpfs", target=f"{target}", deny=False)
    every_capability = (1 << 64) - 1
    allow = AllowList(deny=True, audit=True, mounts=(allowed,), capabilities=every_capability)
    workload.apply(BpfProfile(allow=allow))
    assert workload.call(_mounting("none", target, "tmpfs")) == "None"
    for attack in (
        _mounting("none", tmp_path / "other", "tmpfs"),
        _mounting("none", target, "ramfs"),
        _mounting("/etc", target, flags=MS_BIND),
        lambda: system_call(166, os.fsencode("/proc"), 2),  # umount
    ):
        assert workload.call(attack) == EPERM
    assert {event.hook for event in workload.events() if event.mount_flags or event.fstype} == {Hook.MOUNT, Hook.UMOUNT}


def test_an_allowed_source_is_not_believed_where_it_means_nothing(workload: Workload) -> None:
    allowed = mount(source="/allowed", fstype="none", flags=MS_REMOUNT, reverse=0, deny=False)
    every_capability = (1 << 64) - 1
    workload.apply(BpfProfile(allow=AllowList(True, False, mounts=(allowed,), capabilities=every_capability)))
    attack = _mounting("/allowed", "/proc", flags=MS_REMOUNT | MS_BIND)
    assert workload.call(attack) == EPERM

# SPDX-License-Identifier: Apache-2.0
"""Mount rules, through the old and the new interface."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import mount
from varmor.kernel.bpf.layout import Hook
from varmor.profile.types import BpfProfile

UMOUNT = 0x200
MS_BIND = 4096
_FSOPEN, _FSCONFIG, _FSMOUNT, _MOVE_MOUNT = 430, 431, 432, 429


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


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


def test_new_interface(workload: Workload, free: Cgroup, target: Path) -> None:
    workload.apply(BpfProfile(mounts=(mount(),)))

    def attack() -> None:
        os.unshare(0x00020000) if hasattr(os, "unshare") else _call(272, 0x00020000)  # CLONE_NEWNS
        handle = _call(_FSOPEN, b"tmpfs", 0)
        _call(_FSCONFIG, handle, 6, None, None, 0)  # FSCONFIG_CMD_CREATE
        tree = _call(_FSMOUNT, handle, 0, 0)
        _call(_MOVE_MOUNT, tree, b"", -100, os.fsencode(target), 4)

    assert in_child(attack, before=free.enter) == "None"
    assert workload.call(attack).startswith("errno ")
    assert workload.events()[-1].hook is Hook.MOVE_MOUNT


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
    from tests.kernel.bpf.rules import ALL, path

    workload.apply(BpfProfile(paths=(path("/etc/hostname", ALL),)))

    def attack() -> bytes:
        tree = _call(428, -100, b"/etc", 1)  # OPEN_TREE_CLONE
        return os.read(os.open("hostname", os.O_RDONLY, dir_fd=tree), 10)

    assert in_child(attack, before=free.enter).startswith("b'")
    assert workload.call(attack) == "errno 13"

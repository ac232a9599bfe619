# SPDX-License-Identifier: Apache-2.0
"""Scenarios of rules about mounts."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

from tests.kernel.matrix.calls import (
    AT_FDCWD,
    CLONE_NEWNS,
    MS_BIND,
    MS_MOVE,
    MS_PRIVATE,
    MS_REC,
    MS_REMOUNT,
    bind_by_descriptors,
    call,
    mount,
    mount_by_descriptors,
    own_namespace,
    umount,
)
from tests.kernel.matrix.capability_steps import work
from tests.kernel.matrix.file_steps import both
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step, passes
from tests.kernel.matrix.shared import DISK
from varmor.policy.types import Enforcer

_LAZY = 2
Ways = dict[str, Step | Evasion]


def new(fstype: str, source: str = "none", data: str = "", name: str = "mnt") -> Step:
    """Mount a file system."""

    def step(stage: Stage) -> None:
        mount(source, stage.folder(name), fstype, data=data)
        umount(stage.folder(name), _LAZY)

    return step


def new_by_descriptors(fstype: str, **options: str) -> Step:
    """Mount a file system by the newer calls."""

    def step(stage: Stage) -> None:
        mount_by_descriptors(fstype, stage.folder("mnt"), **options)
        umount(stage.folder("mnt"), _LAZY)

    return step


def bind(source: str, flags: int = 0) -> Step:
    """Bind mount a directory."""
    return lambda stage: mount(source, stage.folder("mnt"), flags=MS_BIND | flags)


def bind_new(source: str) -> Step:
    """Bind mount a directory by the newer calls."""
    return lambda stage: bind_by_descriptors(source, stage.folder("mnt"))


def move(source: str) -> Step:
    """Move a mount of the stage."""
    return lambda stage: mount(stage.directory / source, stage.folder("moved"), flags=MS_MOVE)


def remount(name: str) -> Step:
    """Change the flags of a mount of the stage."""
    return lambda stage: mount("none", stage.directory / name, flags=MS_REMOUNT | MS_BIND | 2)


def bind_own(stage: Stage) -> None:
    """Bind mount a directory of the stage."""
    mount(stage.folder("from"), stage.folder("to"), flags=MS_BIND)


def _setattr(stage: Stage) -> None:
    call("mount_setattr", AT_FDCWD, str(stage.directory / "mounted-tmpfs"), 0, struct.pack("=4Q", 1, 0, 0, 0), 32)


def _in_namespace(step: Step) -> Step:
    return lambda stage: own_namespace(CLONE_NEWNS, lambda: step(stage))


def _mounted(*fstypes: str) -> Step:
    def setup(stage: Stage) -> None:
        for fstype in fstypes:
            mount("none", stage.folder(f"mounted-{fstype}"), fstype)
        mount("none", stage.folder("mounted"), "tmpfs")

    return setup


PLAIN = both(work, new("tmpfs", name="other"), bind_own)
"""Everyday work, and mounts that have nothing to do with the rule."""


def file_system(fstype: str, *binds: str, extra: Ways | None = None) -> Scenario:
    """A rule against mounting a type of file system, or showing what is mounted in another place."""
    ways: Ways = {"newer calls": passes(new_by_descriptors(fstype), Enforcer.APPARMOR)}
    for path in binds:
        ways[f"bind {path}"] = bind(path)
        ways[f"recursive bind {path}"] = bind(path, MS_REC)
        ways[f"bind {path} by newer calls"] = passes(bind_new(path), Enforcer.APPARMOR)
    # At its usual place below another root, such as that of a container in the container.
    place = binds[0].removeprefix("/")
    ways["move"] = move(place)
    return Scenario(
        attack=new(fstype),
        neighbour=PLAIN,
        evasions={**ways, **(extra or {})},
        setup=lambda stage: mount("none", stage.folder(place), fstype),
    )


def _disk_node(stage: Stage) -> Path:
    found = stage.directory / "node"
    if not found.exists():
        os.mknod(found, stat.S_IFBLK | 0o600, Path(DISK).stat().st_rdev)
    return found


def _open_null(_stage: Stage) -> None:
    os.close(os.open("/dev/null", os.O_RDWR))


def _read_only(stage: Stage) -> None:
    mount(DISK, stage.folder("mnt"), "ext4", flags=1)
    umount(stage.folder("mnt"), _LAZY)


def _make_node(stage: Stage) -> None:
    _disk_node(stage)


def _through_link(stage: Stage) -> None:
    link = stage.path("link")
    link.unlink(missing_ok=True)
    link.symlink_to(DISK)
    os.close(os.open(link, os.O_RDONLY))


_UNSEEN = Enforcer.APPARMOR
"""AppArmor before Linux 6.8 does not see the newer calls."""


def _overlay(stage: Stage) -> None:
    below = f"{stage.folder('lower')}:{stage.folder('lowest')}"
    new("overlay", data=f"lowerdir={below}")(stage)


def _overlay_by_descriptors(stage: Stage) -> None:
    below = f"{stage.folder('lower')}:{stage.folder('lowest')}"
    new_by_descriptors("overlay", lowerdir=below)(stage)


SCENARIOS: dict[str, Scenario] = {
    "overlayfs-mitigation": Scenario(
        attack=_overlay, neighbour=PLAIN, evasions={"newer calls": passes(_overlay_by_descriptors, _UNSEEN)}
    ),
    "disallow-new-mount-api": Scenario(
        attack=new_by_descriptors("tmpfs"),
        neighbour=PLAIN,
        evasions={"bind": bind_new("/etc"), "mount_setattr": _setattr},
        setup=_mounted("tmpfs"),
        refused=frozenset({errno.ENOSYS}),
    ),
    "disallow-mount-securityfs": file_system("securityfs", "/sys/kernel/security"),
    "disallow-mount-procfs": file_system(
        "proc",
        "/proc",
        extra={"bind a part": bind("/proc/sys"), "in a user namespace": _in_namespace(bind("/proc", MS_REC))},
    ),
    "disallow-mount-cgroupfs": file_system(
        "cgroup2",
        "/sys/fs/cgroup",
        extra={
            "version 1": new("cgroup", data="none,name=matrix"),
            "recursive bind of /sys": bind("/sys", MS_REC),
        },
    ),
    "disallow-mount": Scenario(
        attack=new("tmpfs"),
        neighbour=both(work, lambda stage: umount(stage.directory / "mounted")),
        evasions={
            "newer calls": passes(new_by_descriptors("tmpfs"), _UNSEEN),
            "bind": bind("/etc"),
            "bind by newer calls": passes(bind_new("/etc"), _UNSEEN),
            "move": move("mounted-ramfs"),
            "remount": remount("mounted-tmpfs"),
            "mount_setattr": passes(_setattr, Enforcer.APPARMOR | Enforcer.BPF),
            "propagation": lambda stage: mount("none", stage.directory / "mounted-tmpfs", flags=MS_PRIVATE),
            "in a user namespace": _in_namespace(new("tmpfs")),
        },
        setup=_mounted("tmpfs", "ramfs"),
    ),
    "disallow-umount": Scenario(
        attack=lambda stage: umount(stage.directory / "mounted"),
        neighbour=both(work, bind_own),
        evasions={
            "lazy": lambda stage: umount(stage.directory / "mounted-tmpfs", 2),
            "by descriptor": lambda stage: umount(
                f"/proc/self/fd/{os.open(stage.directory / 'mounted-proc', os.O_PATH)}", 2
            ),
        },
        setup=_mounted("tmpfs", "proc"),
    ),
    "disallow-mount-disk-device": Scenario(
        attack=new("ext4", DISK),
        neighbour=PLAIN,
        evasions={
            "newer calls": passes(new_by_descriptors("ext4", source=DISK), _UNSEEN),
            "another node": passes(lambda stage: new("ext4", str(_disk_node(stage)))(stage), _UNSEEN),
            "another node by newer calls": passes(
                lambda stage: new_by_descriptors("ext4", source=str(_disk_node(stage)))(stage), _UNSEEN
            ),
            "read-only": _read_only,
        },
        setup=_make_node,
    ),
    "disallow-debug-disk-device": Scenario(
        attack=lambda _stage: os.close(os.open(DISK, os.O_RDONLY)),
        neighbour=both(work, _open_null),
        evasions={
            "writing": lambda _stage: os.close(os.open(DISK, os.O_WRONLY)),
            "another node": passes(lambda stage: os.close(os.open(_disk_node(stage), os.O_RDONLY)), _UNSEEN),
            "symbolic link": _through_link,
        },
        setup=_make_node,
    ),
}

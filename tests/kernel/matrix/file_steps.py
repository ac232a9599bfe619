# SPDX-License-Identifier: Apache-2.0
"""Scenarios of rules about files: reading, writing, and the ways around a path."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.kernel.matrix.calls import AT_FDCWD, MS_BIND, call, mount, openat2
from tests.kernel.matrix.capability_steps import lacking, work
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step, nothing

Place = Callable[[Stage], Path]
Ways = Mapping[str, Step | Evasion]


def at(path: str) -> Place:
    """A fixed path."""
    return lambda _stage: Path(path)


def on_stage(name: str) -> Place:
    """A path on the stage."""
    return lambda stage: stage.directory / name


def read(place: Place) -> Step:
    """Read a file."""
    return lambda stage: _read(os.open(place(stage), os.O_RDONLY))


def read_only(path: str) -> Step:
    """Open a file for reading, without reading."""
    return lambda _stage: os.close(os.open(path, os.O_RDONLY))


def write(place: Place) -> Step:
    """Open a file for writing without changing it."""
    return lambda stage: os.close(os.open(place(stage), os.O_WRONLY))


def listing(place: Place) -> Step:
    """List a directory."""
    return lambda stage: list(place(stage).iterdir())


def _read(descriptor: int) -> None:
    os.read(descriptor, 64)
    os.close(descriptor)


def _opened(place: Place, flags: int) -> dict[str, Step]:
    """The same file under other names, which need no write access to anything."""

    def relative(stage: Stage) -> None:
        os.chdir(place(stage).parent)
        os.close(os.open(place(stage).name, flags))

    def dotted(stage: Stage) -> None:
        path = place(stage)
        os.close(os.open(f"{path.parent}/../{path.parent.name}/./{path.name}", flags))

    def by_link(stage: Stage) -> None:
        link = stage.path("link")
        link.unlink(missing_ok=True)
        link.symlink_to(place(stage))
        os.close(os.open(link, flags))

    def by_directory(stage: Stage) -> None:
        folder = os.open(place(stage).parent, os.O_PATH)
        os.close(os.open(place(stage).name, flags, dir_fd=folder))

    def by_path_descriptor(stage: Stage) -> None:
        descriptor = os.open(place(stage), os.O_PATH)
        os.close(os.open(f"/proc/self/fd/{descriptor}", flags))

    def in_chroot(stage: Stage) -> None:
        path = place(stage)
        os.chroot(path.parent)
        os.close(os.open(f"/{path.name}", flags))

    return {
        "relative": relative,
        "dotted": dotted,
        "symbolic link": by_link,
        "directory descriptor": by_directory,
        "path descriptor": by_path_descriptor,
        "/proc/self/root": lambda stage: os.close(os.open(f"/proc/self/root{place(stage)}", flags)),
        "openat2": lambda stage: os.close(openat2(place(stage), flags)),
        "chroot": in_chroot,
    }


def read_ways(place: Place) -> dict[str, Step]:
    """Ways to read."""
    return _opened(place, os.O_RDONLY)


def write_ways(place: Place) -> dict[str, Step]:
    """Ways to open for writing."""
    ways = _opened(place, os.O_WRONLY)
    ways["append"] = lambda stage: os.close(os.open(place(stage), os.O_WRONLY | os.O_APPEND))
    ways["read and write"] = lambda stage: os.close(os.open(place(stage), os.O_RDWR))
    return ways


def truncate_ways(place: Place) -> dict[str, Step]:
    """Ways to empty a file, of those that can be filled again."""
    return {
        "truncate": lambda stage: os.truncate(place(stage), 0),
        "open with O_TRUNC": lambda stage: os.close(os.open(place(stage), os.O_WRONLY | os.O_TRUNC)),
        "open read-only with O_TRUNC": lambda stage: os.close(os.open(place(stage), os.O_RDONLY | os.O_TRUNC)),
    }


def displace_ways(place: Place, *, away: bool = True) -> dict[str, Step]:
    """Ways to put another file in the place, and to take the file out of it."""

    def replace(stage: Stage) -> None:
        stage.file("replacement").rename(place(stage))

    def exchange(stage: Stage) -> None:
        other = stage.file("exchanged")
        os_rename_exchange(other, place(stage))
        os_rename_exchange(other, place(stage))

    def remove(stage: Stage) -> None:
        content = place(stage).read_bytes() if os.access(place(stage), os.R_OK) else b""
        place(stage).unlink()
        place(stage).write_bytes(content)

    def link_over(stage: Stage) -> None:
        target = place(stage)
        beside = target.parent / target.name
        aside = stage.path("aside")
        beside.rename(aside)
        aside.rename(target)

    ways: dict[str, Step] = {"rename over it": replace, "exchange": exchange, "unlink": remove}
    if away:
        ways["rename away"] = link_over
    return ways


def os_rename_exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE."""
    call("renameat2", AT_FDCWD, one, AT_FDCWD, other, 2)


def away_ways(place: Place) -> dict[str, Step]:
    """Ways to read a file under a name that no rule knows: it must lie on the stage's file system."""

    def by_hard_link(stage: Stage) -> None:
        link = stage.path("hard-link")
        link.unlink(missing_ok=True)
        os.link(place(stage), link)
        _read(os.open(link, os.O_RDONLY))

    def by_rename(stage: Stage) -> None:
        path, aside = place(stage), stage.path("moved")
        path.rename(aside)
        try:
            _read(os.open(aside, os.O_RDONLY))
        finally:
            aside.rename(path)

    def by_parent(stage: Stage) -> None:
        path, aside = place(stage), stage.path("moved-parent")
        path.parent.rename(aside)
        try:
            _read(os.open(aside / path.name, os.O_RDONLY))
        finally:
            aside.rename(path.parent)

    return {"hard link": by_hard_link, "rename": by_rename, "rename the directory": by_parent}


def metadata_ways(place: Place) -> dict[str, Step]:
    """Changes to a file that do not open it."""
    return {
        "chmod": lambda stage: place(stage).chmod(0o644),
        "chown": lambda stage: os.chown(place(stage), 0, 0),
    }


def both(*steps: Step) -> Step:
    """Steps one after the other."""

    def run(stage: Stage) -> None:
        for step in steps:
            step(stage)

    return run


def each_read(*places: Place) -> dict[str, Step]:
    """Reading further files that the rule is about."""
    return {f"file {number}": read(place) for number, place in enumerate(places, 2)}


def readable(place: Place, other: Place, setup: Step = nothing, extra: Ways | None = None) -> Scenario:
    """A rule against reading ``place``, which ``other`` is not about."""
    return Scenario(
        attack=read(place),
        neighbour=both(work, read(other)),
        evasions={**read_ways(place), **(extra or {})},
        setup=setup,
    )


def writable(place: Place, *others: Step, setup: Step = nothing, extra: Ways | None = None) -> Scenario:
    """A rule against writing ``place``, which the ``others`` do not do."""
    return Scenario(
        attack=write(place),
        neighbour=both(work, *others),
        evasions={**write_ways(place), **(extra or {})},
        setup=setup,
    )


def make(*names: str) -> Step:
    """A setup that makes files on the stage."""

    def setup(stage: Stage) -> None:
        for name in names:
            stage.file(name)

    return setup


def covered(path: str, *names: str) -> Step:
    """A setup that puts a directory of the stage, with these files, over ``path``."""

    def setup(stage: Stage) -> None:
        folder = stage.folder(f"over{path}")
        for name in names:
            stage.file(f"over{path}/{name}")
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(folder, path, flags=MS_BIND)

    return setup


def covered_file(path: str) -> Step:
    """A setup that puts a file of the stage over ``path``."""

    def setup(stage: Stage) -> None:
        mount(stage.file(f"over{path}"), path, flags=MS_BIND)

    return setup


def second_procfs(name: str) -> tuple[Step, Place]:
    """A setup that mounts another procfs, and a file below it."""

    def setup(stage: Stage) -> None:
        mount("proc", stage.folder("proc"), "proc")

    return setup, on_stage(f"proc/{name}")


def connect_unix(place: Place, kind: int = socket.SOCK_STREAM) -> Step:
    """Connect to a socket."""

    def step(stage: Stage) -> None:
        with socket.socket(socket.AF_UNIX, kind) as sock:
            sock.connect(str(place(stage)))

    return step


def listen_unix(place: Place, kind: int = socket.SOCK_STREAM) -> Step:
    """A setup that listens on a socket. It stays open as long as the stage's process."""

    def setup(stage: Stage) -> None:
        place(stage).parent.mkdir(parents=True, exist_ok=True)
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(str(place(stage)))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        stage.values[f"listener {place(stage)}"] = sock

    return setup


def open_x_bit(stage: Stage) -> None:
    """Create a file with an execute bit."""
    path = stage.path("created-x")
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o755))
    if not path.stat().st_mode & 0o111:
        raise lacking("the execute bit")


PROC_READ = ("/proc/self/root", "relative", "dotted", "symbolic link", "directory descriptor", "openat2")

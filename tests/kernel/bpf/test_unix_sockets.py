# SPDX-License-Identifier: Apache-2.0
"""Unix sockets with a path: connecting is reading and writing it, whatever name leads there."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import path
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import Access, BpfProfile

EACCES = f"errno {errno.EACCES}"
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory with listening sockets ``denied`` and ``open``, and datagram sockets of the same names + ``.d``."""
    base = Path("/dev/shm") / tmp_path.name
    base.mkdir()
    sockets = []
    for name in ("denied", "open"):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.bind(str(base / name))
        stream.listen(100)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagrams.bind(str(base / f"{name}.d"))
        sequenced = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sequenced.bind(str(base / f"{name}.s"))
        sequenced.listen(100)
        sockets += [stream, datagrams, sequenced]
    (base / "link").symlink_to("denied")
    (base / "link.d").symlink_to("denied.d")
    yield base
    for item in sockets:
        item.close()


def _profile(place: Path, access: Access = Access.WRITE) -> BpfProfile:
    return BpfProfile(paths=(path(f"{place}/denied{{,.d,.s}}", access),))


def _connect(kind: int, name: str | Path) -> None:
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(str(name))


def _send(name: str | Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", str(name))


def _relative(place: Path) -> None:
    os.chdir(place)
    _connect(socket.SOCK_STREAM, "denied")


def _by_descriptor(place: Path) -> None:
    directory = os.open(place, os.O_PATH | os.O_DIRECTORY)
    _connect(socket.SOCK_STREAM, f"/proc/self/fd/{directory}/denied")


def _after_chroot(place: Path) -> None:
    os.chroot(place)
    _connect(socket.SOCK_STREAM, "/denied")


ATTACKS: dict[str, Callable[[Path], None]] = {
    "stream": lambda place: _connect(socket.SOCK_STREAM, place / "denied"),
    "sequenced packets": lambda place: _connect(socket.SOCK_SEQPACKET, place / "denied.s"),
    "datagram": lambda place: _send(place / "denied.d"),
    "datagram, connected": lambda place: _connect(socket.SOCK_DGRAM, place / "denied.d"),
    "symlink": lambda place: _connect(socket.SOCK_STREAM, place / "link"),
    "datagram by symlink": lambda place: _send(place / "link.d"),
    "relative": _relative,
    "by /proc/self/root": lambda place: _connect(socket.SOCK_STREAM, f"/proc/self/root{place}/denied"),
    "by a descriptor of the directory": _by_descriptor,
    "after chroot": _after_chroot,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_denied_socket(workload: Workload, free: Cgroup, place: Path, attack: Callable[[Path], None]) -> None:
    workload.apply(_profile(place))
    assert in_child(lambda: attack(place), before=free.enter) == "None"
    assert workload.call(lambda: attack(place)) == EACCES
    event = workload.events()[-1]
    assert (event.hook, event.verdict, event.access) == (Hook.UNIX_CONNECT, Verdict.DENIED, Access.WRITE)
    assert event.path.startswith(f"{place}/denied")


def test_neighbours(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place))
    assert workload.call(lambda: _connect(socket.SOCK_STREAM, place / "open")) == "None"
    assert workload.call(lambda: _connect(socket.SOCK_SEQPACKET, place / "open.s")) == "None"
    assert workload.call(lambda: _send(place / "open.d")) == "None"
    assert workload.events() == []


def test_sockets_without_a_path_are_nobodys_file(workload: Workload) -> None:
    workload.apply(BpfProfile(paths=(path("/**", Access.WRITE | Access.READ),)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("\0varmor-test")
        server.listen()
        assert workload.call(lambda: _connect(socket.SOCK_STREAM, "\0varmor-test")) == "None"

    def pair() -> bytes:
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.send(b"x")
        return right.recv(1)

    assert workload.call(pair) == repr(b"x")


def test_reading_is_part_of_it_and_executing_is_not(workload: Workload, place: Path) -> None:
    workload.apply(_profile(place, Access.READ))
    assert workload.call(lambda: _connect(socket.SOCK_STREAM, place / "denied")) == EACCES
    workload.apply(_profile(place, Access.EXEC))
    assert workload.call(lambda: _connect(socket.SOCK_STREAM, place / "denied")) == "None"


def test_audit_alone_lets_pass_and_records(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/denied", Access.WRITE, deny=False),)))
    assert workload.call(lambda: _connect(socket.SOCK_STREAM, place / "denied")) == "None"
    assert [(event.hook, event.verdict) for event in workload.events()] == [(Hook.UNIX_CONNECT, Verdict.AUDIT)]


def _in_a_namespace_with(source: Path, target: Path) -> None:
    """What a runtime does for a container: ``source`` is seen as ``target``, in a mount namespace of its own."""
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for arguments in ((b"none", b"/", MS_REC | MS_PRIVATE), (os.fsencode(source), os.fsencode(target), MS_BIND)):
        if LIBC.mount(arguments[0], arguments[1], None, ctypes.c_ulong(arguments[2]), None) != 0:
            raise OSError(ctypes.get_errno(), "mount")


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """Where the sockets' directory is mounted for a container."""
    directory = tmp_path / "shown"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("single", [False, True], ids=["directory", "socket"])
def test_socket_of_the_host_is_judged_where_the_container_sees_it(
    workload: Workload, free: Cgroup, place: Path, shown: Path, single: bool
) -> None:
    source = place / "denied" if single else place
    target = shown / "denied" if single else shown
    if single:
        target.touch()
    workload.apply(_profile(shown))

    def attack() -> None:
        _connect(socket.SOCK_STREAM, shown / "denied")

    def before(cgroup: Cgroup) -> Callable[[], None]:
        def enter() -> None:
            cgroup.enter()
            _in_a_namespace_with(source, target)

        return enter

    assert in_child(attack, before=before(free)) == "None"
    assert in_child(attack, before=before(workload.cgroup), ready=workload.enforcer.adopt) == EACCES
    assert workload.events()[-1].path == f"{shown}/denied"

    def neighbour() -> None:
        _connect(socket.SOCK_STREAM, place / "open")

    assert in_child(neighbour, before=before(workload.cgroup), ready=workload.enforcer.adopt) == "None"
    assert workload.events() == []


def test_socket_that_lies_nowhere_in_the_namespace_is_judged_where_it_was_made(
    workload: Workload, place: Path, tmp_path: Path
) -> None:
    """Reached by way of the root of a process outside."""
    empty = tmp_path / "empty"
    empty.mkdir()
    parent = os.getpid()

    def before() -> None:
        workload.cgroup.enter()
        _in_a_namespace_with(empty, Path("/dev"))
        assert not place.exists()

    def attack(name: str) -> None:
        _connect(socket.SOCK_STREAM, f"/proc/{parent}/root{place}/{name}")

    workload.apply(_profile(place))
    for name, answer in (("denied", EACCES), ("open", "None")):
        assert in_child(lambda name=name: attack(name), before=before, ready=workload.enforcer.adopt) == answer  # type: ignore[misc]

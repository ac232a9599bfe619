# SPDX-License-Identifier: Apache-2.0
"""Descriptors that another process has opened: handing them over is no way round the rules."""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import ALL, WRITE, path
from tests.kernel.bpf.system import system_call
from varmor.kernel.bpf.layout import Hook
from varmor.profile.types import Access, BpfProfile

EACCES = f"errno {errno.EACCES}"
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


def received(descriptor: int) -> str:
    """Send a descriptor to oneself, and read what arrives."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    rights = array.array("i", [descriptor])
    theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    _data, found, _flags, _address = socket.recv_fds(ours, 10, 4)
    if not found:
        raise PermissionError(errno.EACCES, "no descriptor arrived")
    return os.pread(found[0], 100, 0).decode()


def taken(descriptor: int) -> str:
    """Take a descriptor from oneself, as a tracer does from another."""
    own = system_call(_PIDFD_OPEN, os.getpid(), 0)
    return os.pread(system_call(_PIDFD_GETFD, own, descriptor, 0), 100, 0).decode()


@pytest.mark.parametrize("way", [received, taken])
def test_a_protected_file(workload: Workload, free: Cgroup, tmp_path: Path, way: Callable[[int], str]) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "open").write_text("open")
    secret, neighbour = (os.open(tmp_path / name, os.O_RDONLY) for name in ("secret", "open"))
    assert in_child(lambda: way(secret), before=free.enter) == "'secret'"
    workload.apply(BpfProfile(paths=(path(f"{tmp_path}/secret", ALL),)))
    assert workload.call(lambda: way(secret)) == EACCES
    (event,) = workload.events()
    assert (event.hook, event.path, event.access) == (Hook.FILE_RECEIVE, f"{tmp_path}/secret", Access.READ)
    assert workload.call(lambda: way(neighbour)) == "'open'"
    for handle in (secret, neighbour):
        os.close(handle)


def test_what_it_was_opened_for_counts(workload: Workload, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    workload.apply(BpfProfile(paths=(path(str(file), WRITE),)))
    reader, writer = os.open(file, os.O_RDONLY), os.open(file, os.O_RDWR)
    assert workload.call(lambda: received(reader)) == "'text'"
    assert workload.call(lambda: received(writer)) == EACCES
    os.close(reader)
    os.close(writer)


def test_pipes_sockets_and_memory_have_no_path(workload: Workload) -> None:
    workload.apply(BpfProfile(paths=(path("/**", ALL),)))

    def hand_over() -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        handles = [*os.pipe(), ours.fileno(), os.memfd_create("memory")]
        socket.send_fds(theirs, [b"x"], handles)
        return len(socket.recv_fds(ours, 10, 8)[1])

    assert workload.call(hand_over) == "4"

# SPDX-License-Identifier: Apache-2.0
"""Allow-lists: what they do not name is refused, and nothing is gained by giving it another name."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import ALL, path
from varmor.kernel.bpf.layout import Hook, Reason, Verdict
from varmor.profile.types import Access, AllowList, BpfProfile, EgressRule, PathRule, SocketProtocol, SocketRule

EACCES = f"errno {errno.EACCES}"
EPERM = f"errno {errno.EPERM}"
DENIED = "Permission denied"
READ_MAP = Access.READ | Access.MAP


def _allow(pattern: str, access: Access) -> PathRule:
    return PathRule(pattern, access, deny=False, audit=False, origin="list")


SYSTEM = (
    _allow("/{usr/,}lib{,32,64}/**", READ_MAP),
    _allow("/etc/ld.so.cache", Access.READ),
    _allow("/{usr/,}bin/{cat,busybox,mv,ln,rm,rmdir,mkdir,truncate,chmod,touch,sh,dash}", Access.EXEC),
    _allow("/dev/null", ALL),
)
"""What the tests' commands themselves need."""


@pytest.fixture(params=["overlay", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """``data`` may be read and written, ``read`` only read, ``other`` is not in the list."""
    base = tmp_path if request.param == "overlay" else Path("/dev/shm") / tmp_path.name
    for name in ("data", "read", "other"):
        (base / name / "inner").mkdir(parents=True)
        (base / name / "file").write_text(name)
        (base / name / "inner" / "key").write_text("key")
    (base / "other" / "program").write_bytes(Path("/bin/true").read_bytes())
    (base / "other" / "program").chmod(0o755)
    return base


def _list(place: Path, *rules: PathRule, deny: bool = True, audit: bool = True) -> AllowList:
    return AllowList(
        deny=deny,
        audit=audit,
        paths=(
            *SYSTEM,
            _allow(f"{place}/data{{,/**}}", ALL),
            _allow(f"{place}/read{{,/**}}", Access.READ),
            *rules,
        ),
        capabilities=(1 << 64) - 1,
        sockets=(SocketRule(0, 0, SocketProtocol(0), deny=False, audit=False, origin="list"),),
        egress=(EgressRule(None, (), deny=False, audit=False, origin="list"),),
    )


ALLOWED = {
    "read": "cat read/file data/file",
    "write": "echo x > data/file",
    "append": "echo x >> data/file",
    "create": "touch data/new",
    "remove": "rm data/file",
    "rename": "mv data/file data/renamed",
    "rename a directory": "mv data/inner data/renamed && cat data/renamed/key",
    "link": "ln data/file data/second",
    "symlink": "ln -s file data/link && cat data/link",
    "directories": "mkdir data/d && rmdir data/d",
    "truncate": "truncate -s 0 data/file",
    "chmod": "chmod 600 data/file",
}
REFUSED = {
    "read": "cat other/file",
    "read by symlink": "ln -s ../other/file data/link && cat data/link",
    "write": "echo x > read/file",
    "append": "echo x >> read/file",
    "truncate": "truncate -s 0 read/file",
    "create": "touch read/new",
    "remove": "rm -f read/file && ! test -e read/file",
    "execute": "other/program",
    "map": "/lib64/ld-linux-x86-64.so.2 other/program",
    "chmod": "chmod 777 read/file",
    "mkdir": "mkdir other/d",
    "rename into the list": "mv other/file data/stolen && cat data/stolen",
    "rename out of the list": "mv data/file other/out",
    "link into the list": "ln other/file data/stolen && cat data/stolen",
    "link to write": "ln read/file data/stolen && echo x > data/stolen",
    "rename to write": "mv read/file data/stolen && echo x > data/stolen",
    "rename a directory into the list": "mv other/inner data/stolen && cat data/stolen/key",
    "rename a directory to write": "mv read/inner data/stolen",
    "rename a directory out of the list": "mv data/inner other/out",
    "symbolic link elsewhere": "ln -s /etc other/link",
}
# what the policy's base does not speak about, for the refused commands without a policy
_EVERYTHING = "set -e; cd {0}; {1}"


@pytest.mark.parametrize("command", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_the_list_names(workload: Workload, place: Path, command: str) -> None:
    workload.apply(BpfProfile(allow=_list(place)))
    result = workload.run(_EVERYTHING.format(place, command))
    assert result.returncode == 0, (result.stderr, workload.events())
    assert workload.events() == []


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
def test_what_it_does_not_name(workload: Workload, free: Cgroup, place: Path, command: str) -> None:
    workload.apply(BpfProfile(allow=_list(place)))
    result = workload.run(_EVERYTHING.format(place, command))
    assert result.returncode != 0
    assert any(event.denied for event in workload.events())
    for name in ("read", "other", "data"):
        assert (place / name / "file").read_text() == name
        assert (place / name / "inner" / "key").read_text() == "key"
    (place / "data" / "link").unlink(missing_ok=True)
    assert free.run(_EVERYTHING.format(place, command)).returncode == 0


def test_a_move_that_gains_says_so(workload: Workload, place: Path) -> None:
    only = _allow(f"{place}/upload/*", Access.WRITE)
    readable = _allow(f"{place}/public/*", Access.WRITE | Access.READ)
    for name in ("upload", "public"):
        (place / name).mkdir()
    (place / "upload" / "file").write_text("x")
    workload.apply(BpfProfile(allow=_list(place, only, readable)))
    assert DENIED in workload.run(f"mv {place}/upload/file {place}/public/file").stderr
    event = workload.events()[-1]
    assert (event.hook, event.reason, event.path) == (Hook.RENAME, Reason.GAINS, f"{place}/upload/file")
    assert event.access == Access.READ
    (place / "public" / "file").write_text("x")
    assert workload.run(f"mv {place}/public/file {place}/upload/lost").returncode == 0  # losing is allowed


def test_recording_alone_lets_pass(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(allow=_list(place, deny=False)))
    assert workload.run(f"cat {place}/other/file").stdout == "other"
    assert {(event.verdict, event.path) for event in workload.events()} == {(Verdict.AUDIT, f"{place}/other/file")}
    assert workload.run(f"mv {place}/other/inner {place}/data/moved").returncode == 0
    assert all(event.verdict is Verdict.AUDIT for event in workload.events())
    assert workload.run(f"{place}/other/program").returncode == 0
    assert Hook.EXEC in {event.hook for event in workload.events()}


def test_refusing_without_a_record_is_silent(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(allow=_list(place, audit=False)))
    assert DENIED in workload.run(f"cat {place}/other/file").stderr
    assert workload.events() == []


def test_a_rule_that_denies_holds_in_any_case(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/data/inner/**", ALL),), allow=_list(place)))
    assert DENIED in workload.run(f"cat {place}/data/inner/key").stderr
    assert DENIED in workload.run(f"mv {place}/data/inner {place}/data/renamed").stderr
    assert workload.run(f"cat {place}/data/file").stdout == "data"


def test_neighbours_are_not_concerned(workload: Workload, free: Cgroup, place: Path) -> None:
    workload.apply(BpfProfile(allow=_list(place)))
    assert free.run(f"cat {place}/other/file").stdout == "other"


@pytest.fixture
def server() -> Iterator[int]:
    """A listening port of 127.0.0.1."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_destinations(workload: Workload, place: Path, server: int) -> None:
    def connect(host: str, port: int) -> Callable[[], int]:
        def attempt() -> int:
            with socket.socket() as client:
                client.settimeout(5)
                client.connect((host, port))
                return 0

        return attempt

    only = EgressRule(ip_network("127.0.0.0/8"), ((server, server),), deny=False, audit=False, origin="list")
    workload.apply(BpfProfile(allow=replace(_list(place), egress=(only,))))
    assert workload.call(connect("127.0.0.1", server)) == "0"
    assert workload.call(connect("127.0.0.1", server - 1)) == EPERM
    assert workload.call(connect("192.0.2.1", server)) == EPERM
    assert {event.hook for event in workload.events()} == {Hook.CONNECT}


def test_capabilities(workload: Workload, place: Path) -> None:
    chroot, chown = 18, 0
    workload.apply(BpfProfile(allow=replace(_list(place), capabilities=((1 << 64) - 1) & ~(1 << chroot))))
    assert workload.call(lambda: os.chown(place / "data" / "file", 1, 1)) == "None"
    assert workload.call(lambda: os.chroot(place)) == EPERM
    assert {event.capability for event in workload.events()} == {chroot}
    assert chown != chroot


def test_unix_sockets(workload: Workload, free: Cgroup, place: Path) -> None:
    def connect(name: str) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place / name / "socket"))

    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for server, name in ((first, "data"), (second, "read")):
            server.bind(str(place / name / "socket"))
            server.listen()
        workload.apply(BpfProfile(allow=_list(place)))
        assert in_child(lambda: connect("read"), before=free.enter) == "None"
        assert workload.call(lambda: connect("data")) == "None"
        assert workload.call(lambda: connect("read")) == EACCES


def test_a_program_of_the_list_may_have_any_name(workload: Workload, place: Path) -> None:
    """A list names files. What a multi-call program may be called is said by a rule that denies the name."""
    (place / "other" / "cat").symlink_to("/bin/busybox")
    workload.apply(BpfProfile(allow=_list(place)))
    assert workload.run(f"{place}/other/cat {place}/data/file").stdout == "data"
    assert workload.events() == []
    workload.apply(BpfProfile(paths=(path(f"{place}/other/cat", Access.EXEC),), allow=_list(place)))
    assert workload.run(f"{place}/other/cat {place}/data/file").returncode == 126

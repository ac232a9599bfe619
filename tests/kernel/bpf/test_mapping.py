# SPDX-License-Identifier: Apache-2.0
"""Executable mappings: what may not be executed cannot be run by way of the dynamic loader either."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import path
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import Access, BpfProfile

EACCES = f"errno {errno.EACCES}"
LOADER = b"/lib64/ld-linux-x86-64.so.2"
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(params=["overlay", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """``tool`` (to be denied), ``other``, a library with and one without execute permission, and plain data."""
    base = tmp_path if request.param == "overlay" else Path("/dev/shm") / tmp_path.name
    base.mkdir(exist_ok=True)
    for name in ("tool", "other", "libplain.so", "libprogram.so.6", "data"):
        shutil.copy("/bin/true", base / name)
    (base / "data").chmod(0o644)
    (base / "libplain.so").chmod(0o644)
    return base


def _profile(place: Path) -> BpfProfile:
    return BpfProfile(paths=(path(f"{place}/tool", Access.EXEC),))


def _map(file: Path, protection: int) -> int:
    """The address of a private mapping of the file's first page."""
    descriptor = os.open(file, os.O_RDONLY)
    LIBC.mmap.restype = ctypes.c_void_p
    LIBC.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    address = LIBC.mmap(None, 4096, protection, mmap.MAP_PRIVATE, descriptor, 0)
    os.close(descriptor)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return int(address)


def map_executable(file: Path) -> None:
    """mmap(2) with PROT_EXEC."""
    _map(file, mmap.PROT_READ | mmap.PROT_EXEC)


def protect_executable(file: Path) -> None:
    """mmap(2) without, then mprotect(2) with PROT_EXEC."""
    address = _map(file, mmap.PROT_READ)
    if LIBC.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


MAPPINGS = pytest.mark.parametrize("attack", [map_executable, protect_executable])


def test_dynamic_loader(workload: Workload, free: Cgroup, place: Path) -> None:
    workload.apply(_profile(place))
    command = f"{LOADER.decode()} {place}/tool"
    assert free.run(command).returncode == 0
    assert workload.run(command).returncode != 0
    event = workload.events()[-1]
    assert (event.hook, event.verdict, event.access) == (Hook.MAP, Verdict.DENIED, Access.MAP)
    assert event.path == f"{place}/tool"
    assert workload.run(f"{LOADER.decode()} {place}/other").returncode == 0
    assert workload.events() == []


def test_program_as_the_loader_of_another(workload: Workload, free: Cgroup, tmp_path: Path) -> None:
    """The kernel itself maps what an ELF file names as its interpreter."""
    denied = Path("/dev/shm/interpreter")
    shutil.copy(Path(LOADER.decode()), denied)
    crafted = tmp_path / "crafted"
    name = os.fsencode(denied)
    crafted.write_bytes(Path("/bin/true").read_bytes().replace(LOADER, name.ljust(len(LOADER), b"\0"), 1))
    crafted.chmod(0o755)
    workload.apply(BpfProfile(paths=(path(str(denied), Access.EXEC),)))
    assert free.run_program([str(crafted)]).returncode == 0
    assert workload.cgroup.run_program([str(crafted)]).returncode in (-signal.SIGKILL, -signal.SIGSEGV)
    assert workload.events()[-1].path == str(denied)
    denied.unlink()


@MAPPINGS
def test_mapping(workload: Workload, free: Cgroup, place: Path, attack: Callable[[Path], None]) -> None:
    workload.apply(_profile(place))
    (place / "link").symlink_to("tool")
    for name in ("tool", "link"):
        file = place / name
        assert in_child(lambda file=file: attack(file), before=free.enter) == "None"  # type: ignore[misc]
        assert workload.call(lambda file=file: attack(file)) == EACCES  # type: ignore[misc]
        assert [event.path for event in workload.events()] == [f"{place}/tool"]
    assert workload.call(lambda: attack(place / "other")) == "None"
    assert workload.call(lambda: _map(place / "tool", mmap.PROT_READ) > 0) == "True"
    assert workload.events() == []


@MAPPINGS
def test_a_rule_against_execution_does_not_stop_libraries(
    workload: Workload, place: Path, attack: Callable[[Path], None]
) -> None:
    """They are never executed, so a rule about execution cannot mean them, however wide it is."""
    workload.apply(BpfProfile(paths=(path("/**", Access.EXEC),)))
    for name in ("libplain.so", "libprogram.so.6", "data"):
        assert workload.call(lambda name=name: attack(place / name)) == "None"  # type: ignore[misc]
    assert workload.events() == []
    assert workload.call(lambda: attack(place / "other")) == EACCES


@MAPPINGS
def test_a_rule_about_mapping_stops_libraries(workload: Workload, place: Path, attack: Callable[[Path], None]) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/libplain.so", Access.MAP),)))
    assert workload.call(lambda: attack(place / "libplain.so")) == EACCES
    assert workload.call(lambda: attack(place / "libprogram.so.6")) == "None"


def test_audit_alone_records_and_a_program_that_is_executed_is_recorded_once(workload: Workload, place: Path) -> None:
    workload.apply(BpfProfile(paths=(path(f"{place}/tool", Access.EXEC, deny=False),)))
    assert workload.run(f"{place}/tool").returncode == 0
    assert [event.hook for event in workload.events()] == [Hook.EXEC, Hook.EXEC]  # the file, and the name given
    assert workload.run(f"{LOADER.decode()} {place}/tool").returncode == 0
    assert [(event.hook, event.verdict) for event in workload.events()] == [(Hook.MAP, Verdict.AUDIT)]


def test_entrypoint_starts_where_nothing_may_be_executed(workload: Workload) -> None:
    workload.apply(BpfProfile(paths=(path("/**", Access.EXEC),)))
    workload.bind(entrypoint=True)
    assert workload.cgroup.run_program(["/bin/echo", "started"]).stdout == "started\n"


def test_memory_file(workload: Workload, free: Cgroup) -> None:
    def attack() -> None:
        descriptor = os.memfd_create("payload")
        os.write(descriptor, Path("/bin/true").read_bytes())
        map_executable(Path(f"/proc/self/fd/{descriptor}"))

    workload.apply(BpfProfile(paths=(path("/memfd:payload", Access.MAP),)))
    assert in_child(attack, before=free.enter) == "None"
    assert workload.call(attack) == EACCES
    assert workload.events()[-1].path == "/memfd:payload"


def test_anonymous_memory_is_nobodys_file(workload: Workload) -> None:
    workload.apply(BpfProfile(paths=(path("/**", Access.MAP),)))
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    assert workload.call(lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, protection).close()) == "None"

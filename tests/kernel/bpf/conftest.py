# SPDX-License-Identifier: Apache-2.0
"""A loaded enforcer and confined processes, in the light guest (root, BPF-LSM, a unified cgroup hierarchy)."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.events import BpfEvent
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.profile.types import BpfProfile

CGROUPS = Path("/sys/fs/cgroup")
SHELL = "/bin/busybox"
_numbers = itertools.count(1)


def pin_directory() -> PinDirectory:
    """Where the tests pin: beside what an installed daemon has."""
    return PinDirectory(BPFFS / "varmor_tests")


@pytest.fixture(scope="session")
def enforcer() -> Iterator[BpfEnforcer]:
    """One enforcer for all tests: loading takes seconds under emulation."""
    instance = BpfEnforcer(pins=pin_directory())
    support = instance.supported()
    if not support.ok:
        pytest.skip(f"the BPF enforcer cannot run here: {support.reason}")
    instance.detach()
    instance.start()
    yield instance
    instance.detach()


@dataclass
class Cgroup:
    """A cgroup that processes are started in."""

    path: Path

    @property
    def id(self) -> int:
        """Its number in the kernel."""
        return self.path.stat().st_ino

    def enter(self) -> None:
        """Put the calling process in."""
        (self.path / "cgroup.procs").write_text("0")

    def run(self, script: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a shell script in it."""
        return self.run_program([SHELL, "sh", "-c", script], timeout=timeout)

    def run_program(self, command: Sequence[str], *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program in it."""
        return subprocess.run(
            command, preexec_fn=self.enter, capture_output=True, text=True, timeout=timeout, check=False
        )

    def kill(self) -> None:
        """End all that runs in it, and remove it."""
        if not self.path.exists():
            return
        for below in sorted(self.path.glob("**/"), reverse=True):
            (below / "cgroup.kill").write_text("1")
            while "populated 1" in (below / "cgroup.events").read_text():
                pass
            below.rmdir()


@dataclass
class Workload:
    """A confined cgroup with a profile of its own."""

    enforcer: BpfEnforcer
    cgroup: Cgroup
    slot: str
    number: int
    _revision: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def apply(self, profile: BpfProfile) -> None:
        """Put another revision in force."""
        self.enforcer.apply(self.slot, f"{next(self._revision):064x}", profile, observe=False)

    def bind(self, *, entrypoint: bool = False) -> None:
        """Bind the cgroup. The tests' processes are in the host's mount namespace."""
        self.enforcer.bind_cgroup(self.cgroup.id, self.slot, self.number, entrypoint=entrypoint, host_mounts=True)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script confined."""
        return self.cgroup.run(script)

    def call(self, function: Callable[[], object]) -> str:
        """Run a function in a confined child. Gives ``repr`` of its result, or ``errno <number>``."""
        return in_child(function, before=self.cgroup.enter, ready=self.enforcer.adopt)

    def events(self) -> list[BpfEvent]:
        """What was recorded about it since the last call."""
        return [event for event in self.enforcer.read_events() if event.workload == self.number]


def in_child(
    function: Callable[[], object], before: Callable[[], None], ready: Callable[[], object] | None = None
) -> str:
    """Run ``before`` in a forked child, ``ready`` here, then ``function`` in the child; its result as text."""
    result_read, result_write = os.pipe()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(go_write)
            before()
            os.write(result_write, b"!")
            os.read(go_read, 1)
            try:
                text = repr(function())
            except OSError as error:
                text = f"errno {error.errno}"
            os.write(result_write, text.encode())
        except BaseException:  # noqa: BLE001 - nothing may return into the parent's test
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(result_write)
    os.close(go_read)
    try:
        os.read(result_read, 1)
        if ready is not None:
            ready()
        os.write(go_write, b"!")
        parts = []
        while part := os.read(result_read, 65536):
            parts.append(part)
    finally:
        os.close(result_read)
        os.close(go_write)
        os.waitpid(child, 0)
    return b"".join(parts).decode()


def ext4_image(folder: Path) -> Path:
    """A file in ``folder`` with an empty file system, and the kernel's loop devices to use it."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["modprobe", "loop"], check=False, capture_output=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    return image


@pytest.fixture
def free(request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    """A cgroup without a policy."""
    cgroup = Cgroup(CGROUPS / f"free-{next(_numbers)}")
    cgroup.path.mkdir()
    yield cgroup
    cgroup.kill()


@contextlib.contextmanager
def confined_cgroup(enforcer: BpfEnforcer) -> Iterator[Workload]:
    """A new cgroup that is bound to a profile without rules."""
    number = next(_numbers)
    cgroup = Cgroup(CGROUPS / f"work-{number}")
    cgroup.path.mkdir()
    found = Workload(enforcer, cgroup, f"varmor-test-{number}", number)
    found.apply(BpfProfile())
    found.bind()
    enforcer.read_events()
    yield found
    cgroup.kill()
    enforcer.remove(found.slot)
    assert enforcer.failures() == {"no_buffer": 0, "bind_failed": 0}
    assert enforcer.lost() == 0


@pytest.fixture
def workload(enforcer: BpfEnforcer) -> Iterator[Workload]:
    """A cgroup that is bound to a profile without rules yet; use ``apply``."""
    with confined_cgroup(enforcer) as found:
        yield found


@pytest.fixture
def second_workload(enforcer: BpfEnforcer) -> Iterator[Workload]:
    """Another one beside it."""
    with confined_cgroup(enforcer) as found:
        yield found

# SPDX-License-Identifier: Apache-2.0
"""The daemon ends, starts, is upgraded, is removed: what is enforced meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import CGROUPS, Cgroup, Workload, pin_directory
from tests.kernel.bpf.rules import ALL, egress, path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.extents import TableFullError
from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.profile.types import BpfProfile

DENIED = "Permission denied"
SMALL = 1 << 15


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that the tests' rules deny."""
    file = tmp_path / "secret"
    file.write_text("secret")
    return file


def test_next_daemon_continues(workload: Workload, secret: Path) -> None:
    workload.apply(BpfProfile(paths=(path(str(secret), ALL),), egress=(egress("10.0.0.0/8"),)))
    workload.run(f"cat {secret}")
    following = BpfEnforcer(pins=pin_directory())
    following.start()
    try:
        assert following.state() == workload.enforcer.state()
        assert following.bindings() == workload.enforcer.bindings()
        assert following.owner_of(os.getpid()) is None
        assert [event.path for event in following.read_events()] == [str(secret)]  # from before its start
        following.apply(workload.slot, "aa" * 32, BpfProfile())
        assert workload.run(f"cat {secret}").stdout == "secret"
        following.apply(workload.slot, "bb" * 32, BpfProfile(paths=(path(str(secret), ALL),)))
        assert DENIED in workload.run(f"cat {secret}").stderr
    finally:
        following.close()
    workload.enforcer.close()
    assert DENIED in workload.run(f"cat {secret}").stderr  # nobody has it open now
    workload.enforcer.start()
    assert workload.enforcer.state()[workload.slot] == "bb" * 32


def test_same_digest_changes_nothing(workload: Workload, secret: Path) -> None:
    digest = "cc" * 32
    workload.enforcer.apply(workload.slot, digest, BpfProfile(paths=(path(str(secret), ALL),)))
    record = workload.enforcer._started().slots[1].profile
    workload.enforcer.apply(workload.slot, digest, BpfProfile())
    assert workload.enforcer._started().slots[1].profile == record
    assert DENIED in workload.run(f"cat {secret}").stderr


def test_replaced_revisions_leave_nothing_behind(workload: Workload) -> None:
    store = workload.enforcer._store
    tables = (store._table, store._classes, store._ports)
    profile = BpfProfile(paths=(path("/etc/**", ALL),), egress=(egress("10.0.0.0/8", (1, 5)),))
    workload.apply(profile)
    free = [table.free for table in tables]
    for _ in range(20):
        workload.apply(profile)
    assert [table.free for table in tables] == free
    assert len(workload.enforcer._started().networks.all_keys()) == 1
    workload.enforcer.remove(workload.slot)
    assert workload.enforcer._started().networks.all_keys() == []


def test_unknown_slot_is_an_error(workload: Workload) -> None:
    with pytest.raises(BpfError, match="there is no BPF profile 'varmor-none'"):
        workload.enforcer.bind_cgroup(workload.cgroup.id, "varmor-none", 1)
    with pytest.raises(BpfError, match="absolute path"):
        workload.enforcer.bind_unit("relative", workload.slot, 1)
    with pytest.raises(BpfError, match="workload number 0"):
        workload.enforcer.bind_cgroup(workload.cgroup.id, workload.slot, 0)
    with pytest.raises(BpfError, match="expected 64 hexadecimal digits"):
        workload.enforcer.apply(workload.slot, "aa", BpfProfile())
    with pytest.raises(BpfError, match="has 64 bytes"):
        workload.enforcer.apply("x" * 64, "aa" * 32, BpfProfile())


@pytest.fixture
def pins() -> Iterator[PinDirectory]:
    """A directory of pins of its own."""
    directory = PinDirectory(BPFFS / "varmor_lifecycle")
    directory.discard_all()
    yield directory
    directory.discard_all()


DAEMON = """
import os, signal, sys
from pathlib import Path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.pins import PinDirectory
from varmor.profile.types import Access, BpfProfile, PathRule
pins, cgroup, secret = sys.argv[1:]
enforcer = BpfEnforcer(Settings(table_bytes=1 << 15), PinDirectory(Path(pins)))
enforcer.start()
enforcer.apply("varmor-killed", "aa" * 32, BpfProfile(paths=(PathRule(secret, Access(7), True, True, "test"),)))
enforcer.bind_cgroup(os.stat(cgroup).st_ino, "varmor-killed", 77, host_mounts=True)
enforcer.bind_unit("/killed.service", "varmor-killed", 78)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.usefixtures("enforcer")
def test_killed_upgraded_and_removed(pins: PinDirectory, free: Cgroup, secret: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", DAEMON, pins.root, free.path, secret], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert DENIED in free.run(f"cat {secret}").stderr
    unit = Cgroup(CGROUPS / "killed.service")
    unit.path.mkdir()
    assert DENIED in unit.run(f"cat {secret}").stderr  # the daemon has been dead all the time
    unit.kill()

    (pins.root / "unfinished-new").mkdir()  # somebody died while pinning
    upgraded = BpfEnforcer(Settings(table_bytes=SMALL * 2), pins)
    upgraded.start()
    assert not (pins.root / "unfinished-new").exists()
    assert len(list(pins.root.iterdir())) == 2
    assert {(binding.slot, binding.workload, binding.unit) for binding in upgraded.bindings()} == {
        ("varmor-killed", 77, ""),
        ("varmor-killed", 78, "/killed.service"),
    }
    assert upgraded.state() == {"varmor-killed": ""}
    assert DENIED in free.run(f"cat {secret}").stderr  # by the old set
    upgraded.apply("varmor-killed", "aa" * 32, BpfProfile(paths=(path(str(secret), ALL),)))
    assert upgraded.retire_previous() == 1
    assert DENIED in free.run(f"cat {secret}").stderr  # by the new one
    assert len(upgraded.read_events()) == 1

    names = (hashlib.sha256(bytes([number])).hexdigest()[:24] for number in range(100))
    large = tuple(path(f"/srv/{name}/*", ALL) for name in names)
    with pytest.raises(TableFullError, match="has no room"):
        upgraded.apply("varmor-killed", "bb" * 32, BpfProfile(paths=large))
    assert upgraded.state() == {"varmor-killed": "aa" * 32}

    (pins.of(Settings(table_bytes=SMALL * 2).digest()) / "map_slots").unlink()
    upgraded.close()
    upgraded.start()  # damaged pins are loaded anew
    assert upgraded.state() == {}
    upgraded.detach()
    assert not pins.root.exists()
    assert free.run(f"cat {secret}").stdout == "secret"


@pytest.mark.usefixtures("enforcer")
def test_broken_object_is_an_error_with_words(pins: PinDirectory, tmp_path: Path) -> None:
    broken = tmp_path / "broken.bpf.o"
    broken.write_bytes(b"not an object")
    with pytest.raises(BpfError, match="cannot be opened"):
        BpfEnforcer(Settings(object_path=broken), pins).start()
    assert list(pins.root.iterdir()) == []
    with pytest.raises(BpfError, match="make bpf"):
        BpfEnforcer(Settings(object_path=tmp_path / "missing"), pins).start()

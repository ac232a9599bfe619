# SPDX-License-Identifier: Apache-2.0
"""Stand-ins with memory for what the daemon acts on; the real ones are tested on a stock kernel and on whole nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from varmor.errors import VarmorError
from varmor.kernel.support import Support
from varmor.policy.types import Enforcer
from varmor.policy.workload import Workload, WorkloadKind
from varmor.profile.types import BpfProfile, Profile, UnitSettings
from varmor.workload.runtime import RunningContainer


class MemoryEnforcer:
    """An enforcer that remembers; it refuses the profiles whose text is in ``refuses``."""

    def __init__(self, name: str, member: Enforcer, reason: str = "") -> None:
        self.name = name
        self.member = member
        self.reason = reason
        self.has: dict[str, Profile] = {}
        self.refuses: set[str] = set()
        self.refuse_all = False

    def supported(self) -> Support:
        return Support(not self.reason, self.reason)

    def check(self, profile: Profile) -> None:
        if profile.apparmor in self.refuses:
            raise VarmorError("syntax error, unexpected TOK_END_OF_RULE")

    def apply(self, profile: Profile) -> None:
        self.check(profile)
        if self.refuse_all and profile != self.has.get(profile.name):
            raise VarmorError("no memory")
        self.has[profile.name] = profile

    def holds(self, profile: Profile) -> bool:
        return self.has.get(profile.name) == profile

    def remove(self, name: str) -> None:
        self.has.pop(name, None)

    def loaded(self) -> set[str]:
        return set(self.has)


@dataclass(frozen=True)
class MemoryBinding:
    """A bound unit."""

    slot: str
    unit: str


class MemoryBinder:
    """Slots, bound cgroups and bound units."""

    def __init__(self) -> None:
        self.slots: dict[str, str] = {}
        self.cgroups: dict[int, tuple[str, int, bool]] = {}
        self.namespaces_forgotten: list[int] = []
        self.units: dict[str, tuple[str, int]] = {}
        self.adoptions = 0
        self.sharing_host_mounts: set[int] = set()

    def state(self) -> dict[str, str]:
        return dict(self.slots)

    def apply(self, slot_name: str, revision_digest: str, profile: BpfProfile, *, observe: bool) -> None:
        del profile, observe
        self.slots[slot_name] = revision_digest

    def bind_cgroup(
        self, cgroup_id: int, slot_name: str, workload: int, *, entrypoint: bool, host_mounts: bool
    ) -> None:
        self.cgroups[cgroup_id] = (slot_name, workload, entrypoint)
        if host_mounts:
            self.sharing_host_mounts.add(cgroup_id)

    def unbind_cgroup(self, cgroup_id: int) -> None:
        self.cgroups.pop(cgroup_id, None)

    def unbind_mount_namespace(self, inode: int) -> None:
        self.namespaces_forgotten.append(inode)

    def adopt(self) -> int:
        self.adoptions += 1
        return 3

    def bind_unit(self, cgroup_path: str, slot_name: str, workload: int) -> None:
        self.units[cgroup_path] = (slot_name, workload)

    def unbind_unit(self, cgroup_path: str) -> None:
        self.units.pop(cgroup_path, None)

    def bindings(self) -> list[MemoryBinding]:
        return [MemoryBinding(slot, path) for path, (slot, _number) in self.units.items()]


class MemoryProcesses:
    """Facts by pid: cgroup id = pid + 1000, mount namespace = pid + 2000."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}
        self.ended: set[int] = set()

    def alive(self, pid: int) -> bool:
        return pid not in self.ended

    def cgroup_id(self, pid: int) -> int:
        return pid + 1000

    def mount_namespace(self, pid: int) -> int:
        return pid + 2000

    def apparmor_label(self, pid: int) -> str:
        return self.labels.get(pid, "unconfined")


class MemoryContainers:
    """Containers by name; a bundle is a directory of the container's name."""

    def __init__(self) -> None:
        self.live: dict[str, RunningContainer] = {}

    def start(self, name: str, pid: int, bundle: Path) -> RunningContainer:
        self.live[name] = RunningContainer(container(name), pid, bundle)
        return self.live[name]

    def running(self) -> list[RunningContainer]:
        return list(self.live.values())

    def identify(self, bundle: Path, container_id: str) -> Workload | None:
        del bundle
        return None if container_id.startswith("sandbox") else container(container_id)


class MemoryUnits:
    """Units with their drop-ins."""

    def __init__(self) -> None:
        self.written: dict[str, UnitSettings] = {}
        self.pids: dict[str, int] = {}
        self.reloads = 0
        self.refuses: set[str] = set()

    def cgroup_path(self, unit: str) -> str:
        return f"/system.slice/{unit}"

    def main_pid(self, unit: str) -> int:
        return self.pids.get(unit, 0)

    def write_drop_in(self, unit: str, settings: UnitSettings) -> bool:
        if unit in self.refuses:
            raise VarmorError("no such unit")
        changed = self.written.get(unit) != settings
        self.written[unit] = settings
        return changed

    def remove_drop_in(self, unit: str) -> bool:
        return self.written.pop(unit, None) is not None

    def drop_ins(self) -> set[str]:
        return set(self.written)

    def reload(self) -> None:
        self.reloads += 1

    def seccomp_is_current(self, unit: str) -> bool:
        del unit
        return False


def container(name: str) -> Workload:
    """A plain containerd container."""
    return Workload(
        WorkloadKind.CONTAINER, f"containerd/default/{name}", name, image="docker.io/nginx:1", container_id=name
    )

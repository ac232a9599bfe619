# SPDX-License-Identifier: Apache-2.0
"""Which cgroups and units carry which policy, in the kernel's maps.

A task points to an entry of ``workloads``, that entry to a slot: a workload changes its policy, or loses it, by one
store for all of its tasks, wherever they have gone. An entry is used for another workload only when no task points to
it.
"""

from __future__ import annotations

import ctypes
import logging
from array import array
from dataclasses import dataclass
from pathlib import Path

from varmor.kernel.bpf import cgroup
from varmor.kernel.bpf.events import Withheld
from varmor.kernel.bpf.layout import UNIT_PATH_SIZE, BindFlag, BoundTask, Budget, CgroupBinding, Process
from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.maps import SharedArray
from varmor.kernel.bpf.mapset import BindingMaps, UnitKey

_LOG = logging.getLogger(__name__)
_UNUSED = 0
_NO_FLAGS = BindFlag(0)


@dataclass(frozen=True, slots=True)
class Binding:
    """A cgroup (``cgroup_id``) or a unit (``unit``, its path in the hierarchy) with its slot number and workload."""

    workload: int
    slot: int
    cgroup_id: int = 0
    unit: str = ""
    flags: BindFlag = _NO_FLAGS


class Bindings:
    """The bindings of a set of maps. State is rebuilt from the maps."""

    def __init__(self, maps: BindingMaps) -> None:
        self._maps = maps
        self._index = {number: index for index, number, _slot in self._entries() if number}
        self._used = set(self._index.values())
        self._next = 1

    def _entries(self) -> list[tuple[int, int, int]]:
        """All entries up to the last one in use: index, number, slot."""
        used = self._maps.workloads.snapshot().rstrip(b"\0")
        words = array("I", used.ljust(-(-len(used) // 8) * 8, b"\0"))
        return [(index, words[2 * index], words[2 * index + 1]) for index in range(1, len(words) // 2)]

    def bind_cgroup(self, cgroup_id: int, slot: int, workload: int, flags: BindFlag) -> None:
        """Bind what executes in a cgroup from now on; a cgroup that is bound already changes its policy at once.

        Raises:
            BpfError: a map is full, or ``workload`` is not a positive number of 32 bits.
        """
        index = self._point(workload, slot)
        self._maps.cgroups.put(ctypes.c_uint64(cgroup_id), CgroupBinding(index, int(flags)))

    def unbind_cgroup(self, cgroup_id: int) -> None:
        """Forget a cgroup.

        Are there still processes in it, then their policy ends; is it empty, then its container has ended, and a
        process that left it meanwhile stays confined.
        """
        key = ctypes.c_uint64(cgroup_id)
        binding = self._maps.cgroups.get(key)
        if binding is None:
            return
        self._maps.cgroups.remove(key)
        for inode, mounts in self._maps.mount_namespaces.items():
            if mounts.workload == binding.workload:
                self._maps.mount_namespaces.remove(inode)
        if cgroup.is_populated(cgroup_id):
            self._release(binding.workload)

    def bind_unit(self, path: str, slot: int, workload: int) -> None:
        """Bind a unit by its path in the hierarchy, now if it runs and whenever its cgroup is made.

        Raises:
            BpfError: a map is full, or the path is not absolute or too long.
        """
        key = unit_key(path)
        binding = CgroupBinding(self._point(workload, slot), int(BindFlag.UNIT))
        self._maps.units.put(key, binding)
        cgroup_id = cgroup.id_of(path)
        if cgroup_id:
            self._maps.cgroups.put(ctypes.c_uint64(cgroup_id), binding)

    def unbind_unit(self, path: str) -> None:
        """Forget a unit; its running processes have no rules any more."""
        key = unit_key(path)
        binding = self._maps.units.get(key)
        if binding is None:
            return
        self._maps.units.remove(key)
        for cgroup_id, bound in self._maps.cgroups.items():
            if bound.workload == binding.workload and bound.flags & BindFlag.UNIT:
                self._maps.cgroups.remove(cgroup_id)
        self._release(binding.workload)

    def unbind_mount_namespace(self, inode: int) -> None:
        """Forget a mount namespace."""
        self._maps.mount_namespaces.remove(ctypes.c_uint32(inode))

    def release_slot(self, slot: int) -> None:
        """Take the policy from all workloads of a slot, so that the slot may be used for another."""
        for index, _number, used in self._entries():
            if used == slot:
                self._release(index)

    def release_unknown_slots(self, known: set[int]) -> None:
        """Mend what a process that died while it removed a policy left behind."""
        for slot in {slot for _index, _number, slot in self._entries()} - known - {0}:
            self.release_slot(slot)

    def all(self) -> list[Binding]:
        """All bindings."""
        found = []
        for key, binding in self._maps.cgroups.items():
            found.append(self._binding(binding, cgroup_id=int(key.value)))
        for unit, binding in self._maps.units.items():
            found.append(self._binding(binding, unit=unit.path.decode(errors="surrogateescape")))
        return found

    def _binding(self, binding: CgroupBinding, *, cgroup_id: int = 0, unit: str = "") -> Binding:
        workload = self._maps.workloads[binding.workload]
        return Binding(workload.number, workload.slot, cgroup_id, unit, BindFlag(binding.flags))

    def owner_of(self, pid: int) -> int | None:
        """The workload of a process, also just after its end; None when it is not (or no longer) known."""
        process = self._maps.pids.get(ctypes.c_uint32(pid))
        if process is None:
            return None
        return int(self._maps.workloads[process.workload].number) or None

    def withheld(self, budgets: SharedArray[Budget]) -> dict[int, Withheld]:
        """Events that the programs did not record since the last call, by the number of their workload."""
        found: dict[int, Withheld] = {}
        for number, index in self._index.items():
            budget = budgets[index]
            now, before = tuple(budget.withheld), tuple(budget.told)
            if now != before:
                found[number] = Withheld(*(count - told & 0xFFFFFFFF for count, told in zip(now, before, strict=True)))
                budget.told[0], budget.told[1] = now
        return found

    def executables(self) -> dict[int, tuple[int, int]]:
        """Processes that have the rules of a program: their workload's number, and the number of the program.

        Empty for maps of a version that did not know such rules.
        """
        if self._maps.pids.value_size != ctypes.sizeof(Process):
            return {}
        return {
            int(pid.value): (self._maps.workloads[process.workload].number, process.executable)
            for pid, process in self._maps.pids.items()
            if process.executable
        }

    def expect_executable(self, pid: int, workload: int, executable: int) -> None:
        """Have :meth:`adopt` give a process the rules of a program, whatever it runs."""
        index = self._index.get(workload)
        if index is not None:
            self._maps.pids.put(ctypes.c_uint32(pid), Process(index, executable))

    def adopt(self) -> list[BoundTask]:
        """Bind the tasks that already run in bound cgroups. Repeated until a pass finds none: tasks fork meanwhile."""
        adopted: list[BoundTask] = []
        while found := self._read("iter_varmor_adopt"):
            adopted += found
        return adopted

    def tasks(self) -> list[BoundTask]:
        """All confined tasks, wherever they are."""
        return self._read("iter_varmor_bound")

    def _read(self, name: str) -> list[BoundTask]:
        path: Path = self._maps.pins / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BpfError(f"the BPF iterator {path} cannot be read", error.errno or 0) from error
        size = ctypes.sizeof(BoundTask)
        return [BoundTask.from_buffer_copy(data, start) for start in range(0, len(data) - size + 1, size)]

    def _point(self, workload: int, slot: int) -> int:
        """The entry of a workload, pointing to ``slot``."""
        if not 0 < workload < 1 << 32:
            raise BpfError(f"the workload number {workload} is not between 1 and {(1 << 32) - 1}")
        index = self._index.get(workload) or self._free_index()
        entry = self._maps.workloads[index]
        entry.number = workload
        entry.slot = slot  # one store of four bytes: this is the switch
        self._index[workload] = index
        self._used.add(index)
        return index

    def _release(self, index: int) -> None:
        self._maps.workloads[index].slot = _UNUSED

    def _free_index(self) -> int:
        for attempt in range(2):
            for index in range(self._next, self._maps.workloads.count):
                if index not in self._used:
                    self._next = index + 1
                    return index
            if attempt == 0:
                self._collect()
        raise BpfError(f"all {self._maps.workloads.count - 1} entries for workloads are in use")

    def _collect(self) -> None:
        """Give entries back that neither a binding nor a task points to."""
        alive = {task.workload for task in self.tasks()}
        alive |= {binding.workload for _, binding in self._maps.cgroups.items()}
        alive |= {binding.workload for _, binding in self._maps.units.items()}
        for pid, process in self._maps.pids.items():
            if process.workload not in alive:
                self._maps.pids.remove(pid)
        for number, entry in list(self._index.items()):
            if entry not in alive:
                self._release(entry)
                self._maps.workloads[entry].number = _UNUSED
                del self._index[number]
                self._used.discard(entry)
        self._next = 1
        _LOG.info("%d entries for workloads are in use after a collection", len(self._index))


def unit_key(path: str) -> UnitKey:
    """A unit's path as a key.

    Raises:
        BpfError: it is not absolute, or longer than the kernel side takes.
    """
    raw = path.encode("utf-8", "surrogateescape")
    if not path.startswith("/") or len(raw) >= UNIT_PATH_SIZE:
        raise BpfError(
            f"the cgroup path {path!r} of a unit has {len(raw)} bytes; expected an absolute path of at most "
            f"{UNIT_PATH_SIZE - 1}"
        )
    return UnitKey(raw)

# SPDX-License-Identifier: Apache-2.0
"""The BPF enforcer as the daemon sees it.

Programs and maps are pinned: they go on enforcing when the daemon ends, however it ends, and the next one opens the
pins and continues. A daemon with another object loads that beside the old one, takes the bindings over, fills in the
rules and then lets the old one go (:meth:`BpfEnforcer.retire_previous`): there is no moment without rules.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from varmor.kernel.bpf import events, hooks, support
from varmor.kernel.bpf.bindings import Binding as _SlotBinding
from varmor.kernel.bpf.bindings import Bindings
from varmor.kernel.bpf.layout import BindFlag, BoundTask, Counter
from varmor.kernel.bpf.libbpf import BpfError, RingBuffer
from varmor.kernel.bpf.loader import SECCOMP_PROGRAM, Settings, load
from varmor.kernel.bpf.mapset import BindingMaps, MapSet
from varmor.kernel.bpf.pins import PinDirectory
from varmor.kernel.bpf.store import ProfileStore
from varmor.kernel.support import Support
from varmor.profile.tables import Tables, encode
from varmor.profile.types import BpfProfile

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binding:
    """A bound cgroup (``cgroup_id``) or unit (``unit``, its path in the cgroup hierarchy)."""

    slot: str
    workload: int
    cgroup_id: int = 0
    unit: str = ""


class BpfEnforcer:
    """One instance for a node. Not thread-safe: call it from one thread."""

    def __init__(self, settings: Settings | None = None, pins: PinDirectory | None = None) -> None:
        self._settings = settings or Settings()
        self._pins = pins or PinDirectory()
        self._maps: MapSet | None = None
        self._ring: RingBuffer | None = None
        self._records: list[bytes] = []
        self._absent: list[str] = []

    def supported(self) -> Support:
        """Whether this node can run the enforcer, and if not, why."""
        return support.probe(self._settings.object_path)

    def start(self) -> None:
        """Open what is pinned, or load and pin it. A second call does nothing.

        Raises:
            BpfError: the kernel refuses it.
        """
        if self._maps is not None:
            return
        digest = self._settings.digest()
        self._pins.discard_unfinished()
        maps = self._reopen(digest)
        if maps is None:
            self._pins.make(digest, self._load)
            maps = MapSet(self._pins.of(digest))
        self._use(maps)
        if self.unjudged:
            _LOG.warning("this kernel lacks hooks, so rules about these are not judged: %s", "; ".join(self.unjudged))
        for previous in self._pins.others(digest):
            self._take_over(previous)

    def _reopen(self, digest: str) -> MapSet | None:
        if not self._pins.complete(digest):
            return None
        try:
            return MapSet(self._pins.of(digest))
        except BpfError as error:
            _LOG.warning("the pinned BPF enforcer is damaged and is loaded again: %s", error)
            self._pins.discard(self._pins.of(digest))
            return None

    def _load(self, directory: Path) -> None:
        self._absent = load(self._settings, directory)
        if self._absent:
            _LOG.info("this kernel has no hook for: %s", ", ".join(self._absent))

    def _use(self, maps: MapSet) -> None:
        self._maps = maps
        self._store = ProfileStore(maps)
        self._bindings = Bindings(maps)
        self._bindings.release_unknown_slots(set(self._store.numbers()))
        self._ring = RingBuffer(maps.events.fd, self._records.append)

    def _take_over(self, previous: Path) -> None:
        """Bindings of an earlier set, with empty profiles that the daemon fills; the earlier set enforces on."""
        try:
            old = BindingMaps(previous)
        except BpfError as error:
            _LOG.warning("the bindings of an earlier BPF enforcer cannot be read, it must be bound anew: %s", error)
            return
        try:
            names = old.slot_names()
            known = {(binding.cgroup_id, binding.unit) for binding in self._bindings.all()}
            earlier = Bindings(old)
            for binding in earlier.all():
                name = names.get(binding.slot)
                if name is not None and (binding.cgroup_id, binding.unit) not in known:
                    self._bind_again(name, binding)
            for pid, (workload, executable) in earlier.executables().items():
                self._bindings.expect_executable(pid, workload, executable)
        finally:
            old.close()
        self.adopt()

    def _bind_again(self, name: str, binding: _SlotBinding) -> None:
        if name not in self._store.numbers_by_name():
            self._store.put(name, "", Tables(), observe=False)
        slot = self._store.slot(name)
        if binding.unit:
            self._bindings.bind_unit(binding.unit, slot, binding.workload)
        else:
            self._bindings.bind_cgroup(binding.cgroup_id, slot, binding.workload, binding.flags)

    def retire_previous(self) -> int:
        """Let go what an earlier daemon with another object has pinned. Call it once all profiles are applied.

        Returns how many sets of programs were removed.
        """
        previous = self._pins.others(self._settings.digest())
        for path in previous:
            self._pins.discard(path)
        return len(previous)

    def check(self, profile: BpfProfile) -> None:
        """Whether a profile can be said in the kernel's tables.

        Raises:
            GlobError, ProfileTooComplexError: it cannot; the message says which rule.
        """
        encode(profile)

    def apply(self, slot_name: str, revision_digest: str, profile: BpfProfile, *, observe: bool = False) -> None:
        """Make a revision the one in force for a slot, atomically. The same digest again changes nothing.

        ``observe`` is only noted with the revision: what is let pass and what is denied is in its rules.

        Raises:
            GlobError, ProfileTooComplexError, TableFullError, BpfError: it cannot be loaded; the old one stays.
        """
        self._started()
        if self._store.state().get(slot_name) == revision_digest:
            return
        self._store.put(slot_name, revision_digest, encode(profile), observe=observe)

    def remove(self, slot_name: str) -> None:
        """Empty a slot and let its workloads go. Unknown names are fine."""
        self._started()
        number = self._store.numbers_by_name().get(slot_name)
        if number is not None:
            self._store.drop(slot_name)
            self._bindings.release_slot(number)

    @property
    def records_seccomp(self) -> bool:
        """Whether this kernel can tell of every call that a seccomp filter refuses (:meth:`record_syscalls`)."""
        return (self._started().pins / f"link_{SECCOMP_PROGRAM}").exists()

    def record_syscalls(self, slot_names: Collection[str]) -> None:
        """Make events of the calls that seccomp refuses to the workloads of these slots, and of no others.

        All filters of a task are meant, ours and others, whatever flags they have. What kills the task makes no event:
        the kernel's audit always tells of that. A name may be that of a slot still to come.
        """
        self._started()
        self._store.record_syscalls(slot_names)

    def state(self) -> dict[str, str]:
        """Slots with the digest of the revision that is in force."""
        self._started()
        return self._store.state()

    def bind_cgroup(
        self, cgroup_id: int, slot_name: str, workload: int, *, entrypoint: bool = False, host_mounts: bool = False
    ) -> None:
        """Bind what executes in a cgroup, and below it, from now on.

        ``workload`` is the caller's number, shown in events. With ``entrypoint`` the first program is a container's
        own: it is bound but not judged itself, and its mount namespace marks who enters the container later. Tasks that
        are still in the host's mount namespace are a runtime's and not bound, unless ``host_mounts`` is set. For a
        cgroup that is bound already the policy of its tasks changes at once. Tasks that already run: :meth:`adopt`.

        Raises:
            BpfError: the slot is unknown, or a map is full.
        """
        self._started()
        flags = BindFlag.ENTRY_ONCE if entrypoint else BindFlag(0)
        if host_mounts:
            flags |= BindFlag.HOST_MOUNTS
        self._bindings.bind_cgroup(cgroup_id, self._store.slot(slot_name), workload, flags)

    def unbind_cgroup(self, cgroup_id: int) -> None:
        """Forget a cgroup.

        Processes that are still in it lose the policy. When it is empty or gone, its container has ended, and a process
        that escaped from it stays confined as long as the policy exists.
        """
        self._started()
        self._bindings.unbind_cgroup(cgroup_id)

    def unbind_mount_namespace(self, inode: int) -> None:
        """Forget a container's mount namespace."""
        self._started()
        self._bindings.unbind_mount_namespace(inode)

    def bind_unit(self, cgroup_path: str, slot_name: str, workload: int) -> None:
        """Bind a unit by its path in the cgroup hierarchy (``/system.slice/nginx.service``): what it executes from now
        on, and whenever it starts, also without the daemon. Tasks that already run: :meth:`adopt`.

        Raises:
            BpfError: the slot is unknown, the path is too long, or a map is full.
        """
        self._started()
        self._bindings.bind_unit(cgroup_path, self._store.slot(slot_name), workload)

    def unbind_unit(self, cgroup_path: str) -> None:
        """Forget a unit; its running processes lose the policy."""
        self._started()
        self._bindings.unbind_unit(cgroup_path)

    def adopt(self) -> int:
        """Bind the tasks that already run in bound cgroups; how many were new."""
        self._started()
        return len(self._bindings.adopt())

    def bindings(self) -> list[Binding]:
        """All bindings to slots that are in use."""
        self._started()
        names = {number: name for name, number in self._store.numbers_by_name().items()}
        return [
            Binding(names[binding.slot], binding.workload, binding.cgroup_id, binding.unit)
            for binding in self._bindings.all()
            if binding.slot in names
        ]

    def bound_tasks(self) -> list[BoundTask]:
        """All confined tasks of the node, wherever they are."""
        self._started()
        return self._bindings.tasks()

    def owner_of(self, pid: int) -> int | None:
        """The workload number of a process (number in the first pid namespace), also just after its end."""
        self._started()
        return self._bindings.owner_of(pid)

    def events_fd(self) -> int:
        """A descriptor that is readable when there are events."""
        self._started()
        assert self._ring is not None  # noqa: S101 - set together with the maps
        return self._ring.fd

    def read_events(self) -> list[events.BpfEvent]:
        """All waiting events, oldest first, also those from before a restart of the daemon.

        Raises:
            BpfError: the ring buffer is broken.
        """
        self._started()
        assert self._ring is not None  # noqa: S101
        self._ring.consume()
        found = []
        names = {number: name for name, number in self._store.numbers_by_name().items()}
        for record in self._records:
            event = events.decode(record, names.get(events.slot_of(record), ""))
            if event is not None:
                found.append(event)
        self._records.clear()
        return found

    def withheld(self) -> dict[int, events.Withheld]:
        """Events that went beyond a workload's limit and were not recorded since the last call, by workload number.

        What one process was not told because it ended, the next one is.
        """
        return self._bindings.withheld(self._started().budgets)

    @property
    def events_per_second(self) -> int:
        """How many events a workload may make in a second; 0: any number."""
        return self._settings.events_per_second

    def lost(self) -> int:
        """Events that found no room since the programs were loaded."""
        return self._started().counter(Counter.LOST_EVENTS)

    def failures(self) -> dict[str, int]:
        """What else the programs count: judgements without a buffer, bindings that failed (both refuse)."""
        maps = self._started()
        return {counter.name.lower(): maps.counter(counter) for counter in (Counter.NO_BUFFER, Counter.BIND_FAILED)}

    def memory(self) -> dict[str, int]:
        """Bytes of kernel memory that each map costs."""
        return self._started().memory()

    @property
    def absent_hooks(self) -> list[str]:
        """Hooks that the kernel lacks, known to the process that loaded the programs."""
        return list(self._absent)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Which rules nothing judges here, because the kernel lacks a hook; also after a restart of the daemon."""
        links = (path.name.removeprefix("link_") for path in self._started().pins.glob("link_*"))
        return hooks.unjudged(set(links))

    def close(self) -> None:
        """End this process's part. What is pinned goes on enforcing."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        if self._maps is not None:
            self._maps.close()
            self._maps = None

    def detach(self) -> None:
        """Remove everything: no rule of ours is enforced by BPF any more."""
        self.close()
        self._pins.discard_all()

    def _started(self) -> MapSet:
        if self._maps is None:
            raise BpfError("the BPF enforcer is not started")
        return self._maps

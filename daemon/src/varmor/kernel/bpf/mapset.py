# SPDX-License-Identifier: Apache-2.0
"""The pinned maps of one set of programs, opened."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TypeVar

from varmor.kernel.bpf.layout import (
    UNIT_PATH_SIZE,
    Budget,
    CgroupBinding,
    ChildKey,
    Counter,
    MountBinding,
    NetworkKey,
    NetworkValue,
    PortRangeRecord,
    Process,
    ProfileRecord,
    Slot,
    Workload,
)
from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.maps import HashMap, PinnedMap, SharedArray

Opened = TypeVar("Opened", bound=PinnedMap)


class UnitKey(ctypes.Structure):
    """A unit's path below the root of the unified cgroup hierarchy."""

    path: bytes
    _fields_ = (("path", ctypes.c_char * UNIT_PATH_SIZE),)


class BindingMaps:
    """The maps below a directory of pins that say who is bound to what. Every version of the daemon has had them.

    Raises:
        BpfError: one is missing or cannot be opened.
    """

    def __init__(self, pins: Path) -> None:
        self.pins = pins
        self._open: list[PinnedMap] = []
        try:
            self._open_all()
        except BpfError:
            self.close()
            raise

    def _open_all(self) -> None:
        pins = self.pins
        self.workloads = self._keep(SharedArray(pins / "map_workloads", Workload))
        self.slots = self._keep(SharedArray(pins / "map_slots", Slot))
        self.profiles = self._keep(HashMap(pins / "map_profiles", ctypes.c_uint32, ProfileRecord))
        self.cgroups = self._keep(HashMap(pins / "map_cgroups", ctypes.c_uint64, CgroupBinding))
        self.mount_namespaces = self._keep(HashMap(pins / "map_mount_namespaces", ctypes.c_uint32, MountBinding))
        self.units = self._keep(HashMap(pins / "map_units", UnitKey, CgroupBinding))
        self.pids = self._keep(HashMap(pins / "map_pids", ctypes.c_uint32, Process))

    def _keep(self, opened: Opened) -> Opened:
        self._open.append(opened)
        return opened

    def slot_names(self) -> dict[int, str]:
        """The names of all slots in use, by number. A record begins with the name in every version."""
        names = {}
        for slot in range(1, self.slots.count):
            number = self.slots[slot].profile
            record = self.profiles.get(ctypes.c_uint32(number)) if number else None
            if record is not None and record.name:
                names[slot] = record.name.decode()
        return names

    def memory(self) -> dict[str, int]:
        """Bytes that the kernel charges for each map, by its name: ``memlock`` in /proc/self/fdinfo."""
        return {opened.name: _charged(opened.fd) for opened in self._open}

    def close(self) -> None:
        """Close all descriptors and mappings; what is pinned stays."""
        for opened in self._open:
            opened.close()
        self._open.clear()


class MapSet(BindingMaps):
    """All maps below a directory of pins, as this version has them."""

    def _open_all(self) -> None:
        super()._open_all()
        pins = self.pins
        self.children = self._keep(HashMap(pins / "map_children", ChildKey, ctypes.c_uint32))
        self.table = self._keep(SharedArray(pins / "map_table", ctypes.c_uint32))
        # Not "map_classes": a daemon with shorter records looks for that, and must not take these for its own
        self.classes = self._keep(SharedArray(pins / "map_columns", ctypes.c_uint8))
        self.networks = self._keep(HashMap(pins / "map_networks", NetworkKey, NetworkValue))
        self.ports = self._keep(SharedArray(pins / "map_ports", PortRangeRecord))
        self.budgets = self._keep(SharedArray(pins / "map_budgets", Budget))
        self.counters = self._keep(HashMap(pins / "map_counters", ctypes.c_uint32, ctypes.c_uint64))
        self.events = self._keep(PinnedMap(pins / "map_events"))

    def counter(self, which: Counter) -> int:
        """A counter of the programs."""
        value = self.counters.get(ctypes.c_uint32(int(which)))
        return int(value.value) if value is not None else 0


def _charged(descriptor: int) -> int:
    found = re.search(r"^memlock:\s+(\d+)", Path(f"/proc/self/fdinfo/{descriptor}").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0

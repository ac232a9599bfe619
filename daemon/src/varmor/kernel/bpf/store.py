# SPDX-License-Identifier: Apache-2.0
"""Profiles in the kernel's maps: one slot for each policy, one record for each revision.

A revision is written to places that no program reads, then its slot is switched by one store of four bytes. What the
old revision occupied is given to others only after every program that could still read it has ended (an RCU grace
period).
"""

from __future__ import annotations

import ctypes
import logging
import os
import time
from array import array
from collections.abc import Collection
from dataclasses import dataclass

from varmor.kernel.bpf.extents import Extent, Extents, TableFullError
from varmor.kernel.bpf.layout import (
    DIGEST_SIZE,
    NAME_SIZE,
    NETWORK_PREFIX_BITS,
    RESERVED_WORDS,
    ChildKey,
    KernelAutomaton,
    NetworkKey,
    NetworkValue,
    PortRangeRecord,
    ProfileRecord,
    SlotFlag,
)
from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.mapset import MapSet
from varmor.kernel.bpf.record import fill_automata, fill_rules
from varmor.profile.automaton import DEAD, START, Automaton
from varmor.profile.egress import NetworkEntry, PortRange
from varmor.profile.tables import Tables

_LOG = logging.getLogger(__name__)
_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
_MEMBARRIER_CMD_GLOBAL = 1


@dataclass(frozen=True, slots=True)
class _Places:
    """What a record occupies."""

    record: int
    table: Extent
    classes: Extent
    ports: Extent


class ProfileStore:
    """The slots of a set of maps. State is rebuilt from the maps, so a new process continues where another ended."""

    def __init__(self, maps: MapSet) -> None:
        self._maps = maps
        self._recorded: frozenset[str] = frozenset()
        self._revision = 0
        self._slots: dict[str, int] = {}
        self._records: dict[int, tuple[ProfileRecord, _Places]] = {}
        self._children: dict[int, frozenset[int]] = {}
        for slot, name in maps.slot_names().items():
            number = maps.slots[slot].profile
            record = maps.profiles.get(ctypes.c_uint32(number))
            if record is not None:
                self._slots[name] = slot
                self._records[number] = (record, _places_of(number, record))
        self._find_children()
        places = [places for _, places in self._records.values()]
        self._table = Extents("table", RESERVED_WORDS, maps.table.count, [place.table for place in places])
        self._classes = Extents("classes", 1, maps.classes.max_entries, [place.classes for place in places])
        self._ports = Extents("ports", 0, maps.ports.count, [place.ports for place in places])
        self._forget_networks_of_unknown_records()

    def _find_children(self) -> None:
        """The records of programs. Those of a revision that no slot has belong to a daemon that was killed."""
        for key, child in list(self._maps.children.items()):
            if key.profile not in self._records:
                self._maps.children.remove(key)
                continue
            number = int(child.value)
            record = self._maps.profiles.get(child)
            if record is not None:
                self._children[key.profile] = self._children.get(key.profile, frozenset()) | {number}
                self._records[number] = (record, _places_of(number, record))

    def slot(self, name: str) -> int:
        """The number of a slot.

        Raises:
            BpfError: there is no such slot.
        """
        number = self._slots.get(name)
        if number is None:
            raise BpfError(f"there is no BPF profile {name!r}; apply it before something is bound to it")
        return number

    def numbers_by_name(self) -> dict[str, int]:
        """All slots in use, with their numbers."""
        return dict(self._slots)

    def numbers(self) -> list[int]:
        """The numbers of all slots in use."""
        return list(self._slots.values())

    def state(self) -> dict[str, str]:
        """Slot names with the digest of the revision that is in force."""
        return {name: _digest(self._records[self._maps.slots[slot].profile][0]) for name, slot in self._slots.items()}

    def put(self, name: str, digest: str, tables: Tables, *, observe: bool) -> None:
        """Make a revision the one in force. A second call with the same digest changes nothing.

        Raises:
            BpfError, TableFullError: it does not fit; what was in force stays.
        """
        raw = _raw_digest(digest)
        slot = self._slots.get(name) or self._free_slot(name)
        old = self._maps.slots[slot].profile
        if old and bytes(self._records[old][0].digest) == raw:
            return
        number = self._write_family(name, raw, tables, observe=observe)
        self._slots[name] = slot
        if not old:
            self._set_flags(name, slot)
        self._maps.slots[slot].profile = number
        if old:
            self._retire(old)

    def drop(self, name: str) -> None:
        """Empty a slot: tasks that are bound to it have no rules any more. Unknown names are fine."""
        slot = self._slots.pop(name, None)
        if slot is None:
            return
        old = self._maps.slots[slot].profile
        self._maps.slots[slot].profile = 0
        self._retire(old)

    def record_syscalls(self, names: Collection[str]) -> None:
        """Have the kernel tell what seccomp refuses to the workloads of these slots, also of those still to come, and
        of no others.
        """
        self._recorded = frozenset(names)
        for name, slot in self._slots.items():
            self._set_flags(name, slot)

    def _set_flags(self, name: str, slot: int) -> None:
        self._maps.slots[slot].flags = int(SlotFlag.RECORD_SYSCALLS) if name in self._recorded else 0

    def _free_slot(self, name: str) -> int:
        if not name or len(name.encode()) >= NAME_SIZE:
            raise BpfError(f"the profile name {name!r} has {len(name.encode())} bytes; expected 1 to {NAME_SIZE - 1}")
        used = set(self._slots.values())
        for slot in range(1, self._maps.slots.count):
            if slot not in used:
                return slot
        raise BpfError(f"all {self._maps.slots.count - 1} BPF profile slots are in use; remove policies")

    def _free_record(self) -> int:
        for number in range(1, self._maps.profiles.max_entries):
            if number not in self._records:
                return number
        raise BpfError(f"all {self._maps.profiles.max_entries - 1} BPF profile records are in use; remove policies")

    def _write_family(self, name: str, digest: bytes, tables: Tables, *, observe: bool) -> int:
        """Write a revision with the rules of its programs; the number of its own record."""
        number = self._write(name, digest, tables, observe=observe)
        children: set[int] = set()
        try:
            for executables, child_tables in tables.children:
                child = self._write(name, digest, child_tables, observe=observe)
                children.add(child)
                self._children[number] = frozenset(children)
                for executable in executables:
                    self._maps.children.put(ChildKey(number, executable), ctypes.c_uint32(child))
        except (BpfError, TableFullError):
            self._forget(number)
            raise
        return number

    def _write(self, name: str, digest: bytes, tables: Tables, *, observe: bool) -> int:
        automata = tables.all_automata
        ranges = _distinct_ranges(tables.networks)
        taken: list[tuple[Extents, Extent]] = []
        number = self._free_record()
        try:
            for extents, count in (
                (self._table, sum(len(automaton.rows) for automaton in automata)),
                (self._classes, len(automata)),
                (self._ports, sum(len(group) for group in ranges)),
            ):
                taken.append((extents, extents.take(count)))
            places = _Places(number, *(extent for _, extent in taken))
            record = self._record(name, digest, tables, places, observe=observe)
            self._write_networks(number, tables.networks, self._write_ports(ranges, places.ports))
            self._maps.profiles.put(ctypes.c_uint32(number), record)
        except (BpfError, TableFullError):
            self._forget_networks(number)
            for extents, extent in taken:
                extents.give_back(extent)
            raise
        self._records[number] = (record, places)
        return number

    def _record(self, name: str, digest: bytes, tables: Tables, places: _Places, *, observe: bool) -> ProfileRecord:
        record = ProfileRecord(
            name=name.encode(),
            revision=self._next_revision(),
            networks=places.record if tables.networks else 0,
            observe=int(observe),
            table_first=places.table.first,
            table_count=places.table.count,
            classes_first=places.classes.first,
            classes_count=places.classes.count,
            ports_first=places.ports.first,
            ports_count=places.ports.count,
        )
        ctypes.memmove(record.digest, digest, DIGEST_SIZE)
        fill_rules(record, tables)
        fill_automata(record, tables, self._write_automata(tables.all_automata, places))
        return record

    def _next_revision(self) -> int:
        """A number that no record had since the kernel was booted, whichever process wrote it."""
        self._revision = max(self._revision + 1, time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        return self._revision

    def _write_automata(self, automata: tuple[Automaton, ...], places: _Places) -> list[KernelAutomaton]:
        located = []
        word = places.table.first
        for index, automaton in enumerate(automata):
            words = located_words(automaton, word)
            self._maps.table.write(word * 4, words.tobytes())
            number = places.classes.first + index
            self._maps.classes.write(number * 256, automaton.columns)
            located.append(KernelAutomaton(word + START * automaton.width, number))
            word += len(automaton.rows)
        return located

    def _write_ports(self, groups: list[tuple[PortRange, ...]], where: Extent) -> dict[tuple[PortRange, ...], int]:
        first = where.first
        places: dict[tuple[PortRange, ...], int] = {}
        for group in groups:
            places[group] = first
            for span in group:
                self._maps.ports[first] = PortRangeRecord(span.low, span.high, int(span.deny), int(span.audit))
                first += 1
        return places

    def _write_networks(
        self, record: int, entries: tuple[NetworkEntry, ...], places: dict[tuple[PortRange, ...], int]
    ) -> None:
        for entry in entries:
            key = NetworkKey(
                prefix=NETWORK_PREFIX_BITS + entry.network.prefixlen, profile=record, family=entry.network.version
            )
            packed = entry.network.network_address.packed
            ctypes.memmove(key.address, packed, len(packed))
            self._maps.networks.put(key, NetworkValue(places[entry.ranges], len(entry.ranges)))

    def _retire(self, number: int) -> None:
        if not wait_for_readers():
            # Reserved until the next start of the daemon: rather less room than rules that change under a reader.
            return
        self._forget(number)

    def _forget(self, number: int) -> None:
        """Give back what a record and those of its programs occupy. No program of the kernel reads them any more."""
        children = self._children.pop(number, frozenset())
        if children:
            for key in self._maps.children.all_keys():
                if key.profile == number:
                    self._maps.children.remove(key)
        for record in (number, *children):
            _record, places = self._records.pop(record)
            self._forget_networks(record)
            self._table.give_back(places.table)
            self._classes.give_back(places.classes)
            self._ports.give_back(places.ports)

    def _forget_networks(self, record: int) -> None:
        for key in self._maps.networks.all_keys():
            if key.profile == record:
                self._maps.networks.remove(key)

    def _forget_networks_of_unknown_records(self) -> None:
        for key in self._maps.networks.all_keys():
            if key.profile not in self._records:
                self._maps.networks.remove(key)


def located_words(automaton: Automaton, first: int) -> array[int]:
    """The rows of an automaton as they stand in the table from word ``first`` on.

    Next states are word indexes of their rows, 0 for the dead state; column 0 holds the accept word.
    """
    width = automaton.width
    words = array("I", (0 if state == DEAD else first + state * width for state in automaton.rows))
    for state, accept in enumerate(automaton.accepts):
        words[state * width] = accept
    return words


def wait_for_readers() -> bool:
    """Wait until every BPF program that runs now has ended (they run inside RCU read sections).

    False when the kernel cannot tell (membarrier is switched off on kernels with nohz_full CPUs).
    """
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    if number is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.syscall(ctypes.c_long(number), ctypes.c_int(_MEMBARRIER_CMD_GLOBAL), ctypes.c_uint(0), ctypes.c_int(0))
        == 0
    ):
        return True
    _LOG.warning(
        "membarrier: %s: replaced BPF tables keep their room until varmord starts again",
        os.strerror(ctypes.get_errno()),
    )
    return False


def _distinct_ranges(entries: tuple[NetworkEntry, ...]) -> list[tuple[PortRange, ...]]:
    return list(dict.fromkeys(entry.ranges for entry in entries))


def _places_of(number: int, record: ProfileRecord) -> _Places:
    return _Places(
        number,
        Extent(record.table_first, record.table_count),
        Extent(record.classes_first, record.classes_count),
        Extent(record.ports_first, record.ports_count),
    )


def _raw_digest(digest: str) -> bytes:
    """A digest as bytes. The empty one, of a slot without rules, is all zeros."""
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if digest and len(raw) != DIGEST_SIZE:
        raise BpfError(f"the revision digest is {digest!r}; expected {2 * DIGEST_SIZE} hexadecimal digits, or none")
    return raw or bytes(DIGEST_SIZE)


def _digest(record: ProfileRecord) -> str:
    raw = bytes(record.digest)
    return raw.hex() if any(raw) else ""

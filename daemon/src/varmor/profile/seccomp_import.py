# SPDX-License-Identifier: Apache-2.0
"""A seccomp profile of Docker, Podman or OCI becomes an OCI ``LinuxSeccomp`` object for one node and workload."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from varmor.profile import seccomp_names
from varmor.profile.seccomp_import_read import Condition, SeccompImportError, Source, SourceEntry, read_source
from varmor.profile.seccomp_merge import strictest_of
from varmor.profile.seccomp_table import Rule, Table, cells_of, disjoint, write_entries
from varmor.profile.types import NodeFacts

__all__ = ["Imported", "SeccompImportError", "import_profile"]

_MAX_CAPABILITIES = 6
_NATIVE = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}
"""By ``uname -m``: libseccomp's name of the architecture, and the one in ``includes.arches``."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The resolved profile, and in sentences what was left out or decided on the way."""

    profile: dict[str, Any]
    notes: tuple[str, ...] = ()


def import_profile(
    source: str | Mapping[str, Any], facts: NodeFacts, capabilities: frozenset[str] | None = None
) -> Imported:
    """Resolve a profile for a node and a workload with these ``capabilities`` (``CAP_`` names; None: not known).

    Where the capabilities are not known, each call is treated as strictly as with any set of them.

    Raises:
        SeccompImportError: the source is not a seccomp profile; the message begins with the JSON path.
        SeccompLibraryError: libseccomp, which knows the names, is missing.
    """
    return _Resolution(read_source(source), facts, capabilities).imported()


class _Resolution:
    def __init__(self, source: Source, facts: NodeFacts, capabilities: frozenset[str] | None) -> None:
        self._source = source
        self._facts = facts
        self._capabilities = capabilities
        self._arch, self._go_arch = _NATIVE.get(facts.machine, ("", facts.machine))
        self._notes: list[str] = []
        self._unsettled: dict[tuple[str, ...], list[str]] = defaultdict(list)

    def imported(self) -> Imported:
        entries: dict[str, list[SourceEntry]] = defaultdict(list)
        for entry in self._source.entries:
            # The runtimes leave out what says the default; so it does not cut what another entry says.
            if entry.action != self._source.default and self._applies(entry):
                for name in entry.names:
                    entries[name].append(entry)
        self._note_unknown(entries)
        table: Table = {name: self._rules(name, found) for name, found in entries.items()}
        for capabilities, names in self._unsettled.items():
            self._notes.append(
                f"{', '.join(sorted(names))}: depends on {' and '.join(capabilities)}, which a policy cannot "
                "know of its workloads; the stricter side was taken"
            )
        profile: dict[str, Any] = {"defaultAction": self._source.default.name}
        if self._source.default.errno is not None:
            profile["defaultErrnoRet"] = self._source.default.errno
        architectures = self._architectures()
        if architectures:
            profile["architectures"] = list(architectures)
        if self._source.flags:
            profile["flags"] = list(self._source.flags)
        profile["syscalls"] = write_entries(table)
        return Imported(profile, tuple(self._notes))

    def _applies(self, entry: SourceEntry) -> bool:
        """Whether the node fulfils the conditions, those about capabilities left aside."""
        wanted, unwanted = entry.includes, entry.excludes
        return not (
            (wanted.arches and self._go_arch not in wanted.arches)
            or (wanted.min_kernel and self._facts.kernel < wanted.min_kernel)
            or self._go_arch in unwanted.arches
            or (unwanted.min_kernel and self._facts.kernel >= unwanted.min_kernel)
        )

    def _note_unknown(self, entries: dict[str, list[SourceEntry]]) -> None:
        unknown = sorted(name for name in entries if not seccomp_names.is_known(name))
        for name in unknown:
            del entries[name]
        if unknown:
            shown = ", ".join(unknown[:20]) + (" ..." if len(unknown) > 20 else "")
            self._notes.append(f"libseccomp does not know these syscalls, so they fall under the default: {shown}")

    def _rules(self, name: str, entries: list[SourceEntry]) -> list[Rule]:
        default = self._source.default
        variants = [disjoint(rules, default) for rules in self._variants(name, entries)]
        if not all(clean for _, clean in variants):
            self._note_stricter(name)
        if len(variants) == 1:
            return variants[0][0]
        rules, exact = strictest_of([rules for rules, _ in variants], default)
        if any(set(variant) != set(rules) for variant, _ in variants):
            self._unsettled[_spoken(entries)].append(name)
        if not exact:
            self._note_stricter(name)
        return rules

    def _note_stricter(self, name: str) -> None:
        self._notes.append(f"{name}: conditions of several entries overlap; the stricter side was taken")

    def _variants(self, name: str, entries: list[SourceEntry]) -> Iterator[list[Rule]]:
        """The rules of one syscall: with the workload's capabilities, or with every set that makes a difference."""
        spoken = _spoken(entries)
        if self._capabilities is not None:
            yield _with(entries, self._capabilities)
            return
        if len(spoken) > _MAX_CAPABILITIES:
            self._notes.append(
                f"{name}: depends on more than {_MAX_CAPABILITIES} capabilities, which are not known here; "
                "its conditional permissions are left out"
            )
            yield [
                rule
                for entry in entries
                for rule in _rules_of(entry)
                if entry.action.denies or not (entry.includes.caps or entry.excludes.caps)
            ]
            return
        for size in range(len(spoken) + 1):
            for held in itertools.combinations(spoken, size):
                yield _with(entries, frozenset(held))

    def _architectures(self) -> tuple[str, ...]:
        source = self._source
        if source.architectures is not None:
            if self._arch and self._arch not in source.architectures:
                self._notes.append(
                    f"architectures: {', '.join(source.architectures)} are not this node's ({self._arch}), "
                    "which the filter covers in any case"
                )
            return source.architectures
        for native, others in source.arch_map:
            if native == self._arch:
                return (native, *others)
        if source.arch_map:
            self._notes.append(
                f"archMap: says nothing about {self._facts.machine}; the filter covers its own calls only"
            )
        return ()


def _with(entries: list[SourceEntry], held: frozenset[str]) -> list[Rule]:
    """The rules that hold for a workload with these capabilities. An entry wants all of ``includes.caps``."""
    return [
        rule
        for entry in entries
        if _all_held(entry.includes, held) and not any(cap in held for cap in entry.excludes.caps)
        for rule in _rules_of(entry)
    ]


def _spoken(entries: list[SourceEntry]) -> tuple[str, ...]:
    """The capabilities that the entries depend on."""
    return tuple(sorted({cap for entry in entries for part in (entry.includes, entry.excludes) for cap in part.caps}))


def _all_held(condition: Condition, held: frozenset[str]) -> bool:
    return all(cap in held for cap in condition.caps)


def _rules_of(entry: SourceEntry) -> list[Rule]:
    return [(cell, entry.action) for cell in cells_of(entry.args)]

# SPDX-License-Identifier: Apache-2.0
"""``defenseInDepth.bpf.customProfile``: what a workload may do, as the allow-list of the BPF enforcer.

The list is exactly what is written: nothing that a program needs to start is added to it.
"""

from __future__ import annotations

from varmor.catalog.capabilities import NUMBERS
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import BpfAllowList
from varmor.profile.bpf_raw_mounts import mount_rule
from varmor.profile.bpf_raw_network import destination_rules, socket_rule
from varmor.profile.bpf_raw_paths import path_rule
from varmor.profile.bpf_raw_ptrace import ptrace_rule
from varmor.profile.bpf_words import ANY_WORDS, bits
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.tables import SWITCHES
from varmor.profile.types import AllowList, NoEffect

# An entry of an allow-list neither refuses nor records.
_ALLOWED = Reaction(deny=False, audit=False)


def allow_list(rules: BpfAllowList, place: Place, reaction: Reaction, notes: list[NoEffect]) -> AllowList:
    """The list that stands at ``place``. ``reaction`` is what happens to all that it does not name.

    Raises:
        PolicyError: an unknown word, a pattern that cannot match, or a destination that is none.
    """
    destinations = place.at("network", "egress", "toDestinations")
    return AllowList(
        deny=reaction.deny,
        audit=reaction.audit,
        paths=tuple(
            path_rule(place.at(name, index), entry, _ALLOWED)
            for name, entries in (("files", rules.files), ("processes", rules.processes))
            for index, entry in enumerate(entries)
        ),
        egress=tuple(
            made
            for index, entry in enumerate(rules.egress)
            for made in destination_rules(destinations.at(index), entry, _ALLOWED, notes)
        ),
        mounts=tuple(
            mount_rule(place.at("mounts", index), entry, _ALLOWED) for index, entry in enumerate(rules.mounts)
        ),
        sockets=tuple(
            socket_rule(place.at("network", "sockets", index), entry, _ALLOWED)
            for index, entry in enumerate(rules.sockets)
        ),
        ptrace=(ptrace_rule(place.at("ptrace"), rules.ptrace, _ALLOWED),) if rules.ptrace else (),
        capabilities=_capabilities(rules.capabilities, place.at("capabilities")),
        switches=_switches(rules.operations, place.at("operations")),
    )


def _capabilities(words: tuple[str, ...], place: Place) -> int:
    numbers: list[int] = []
    for index, word in enumerate(words):
        name = word.lower().removeprefix("cap_").replace("-", "_")
        if name in ANY_WORDS:
            numbers += NUMBERS.values()
        elif name in NUMBERS:
            numbers.append(NUMBERS[name])
        else:
            raise place.at(index).error(
                f"unknown capability {word[:40]!r}; expected a name such as net_bind_service, or all"
                f"{did_you_mean(name, NUMBERS)}"
            )
    return bits(numbers)


def _switches(words: tuple[str, ...], place: Place) -> tuple[str, ...]:
    if any(word.lower() in ANY_WORDS for word in words):
        return tuple(SWITCHES)
    return tuple(dict.fromkeys(place.lookup(words, {name: name for name in SWITCHES}, "operation")))

# SPDX-License-Identifier: Apache-2.0
"""``bpfRawRules``: a person's own rules for the BPF enforcer, checked word by word."""

from __future__ import annotations

from varmor.policy.types import BpfRawRules
from varmor.profile.bpf import BpfBuilder
from varmor.profile.bpf_raw_mounts import mount_rule
from varmor.profile.bpf_raw_network import destination_rules, service_rules, socket_rule
from varmor.profile.bpf_raw_paths import path_rule
from varmor.profile.bpf_raw_ptrace import ptrace_rule
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.types import NoEffect

_QUALIFIERS = {"deny": "deny", "audit": "audit"}


def add_raw_rules(rules: BpfRawRules, place: Place, builder: BpfBuilder, notes: list[NoEffect]) -> None:
    """Add the ``bpfRawRules`` that stand at ``place`` to ``builder``.

    Raises:
        PolicyError: an unknown word, a pattern that cannot match, or a destination that is none.
    """
    for name, entries in (("files", rules.files), ("processes", rules.processes)):
        for index, entry in enumerate(entries):
            here = place.at(name, index)
            builder.paths[path_rule(here, entry, reaction(here, entry.qualifiers))] = None
    for index, socket in enumerate(rules.sockets):
        here = place.at("network", "sockets", index)
        builder.sockets[socket_rule(here, socket, reaction(here, socket.qualifiers))] = None
    _add_egress(rules, place.at("network", "egress"), builder, notes)
    if rules.ptrace is not None:
        here = place.at("ptrace")
        builder.ptrace[ptrace_rule(here, rules.ptrace, reaction(here, rules.ptrace.qualifiers))] = None
    for index, mount in enumerate(rules.mounts):
        here = place.at("mounts", index)
        builder.mounts[mount_rule(here, mount, reaction(here, mount.qualifiers))] = None


def _add_egress(rules: BpfRawRules, place: Place, builder: BpfBuilder, notes: list[NoEffect]) -> None:
    for index, destination in enumerate(rules.egress):
        here = place.at("toDestinations", index)
        made = destination_rules(here, destination, reaction(here, destination.qualifiers), notes)
        builder.egress.update(dict.fromkeys(made))
    for index, service in enumerate(rules.services):
        here = place.at("toServices", index)
        made = service_rules(here, service, reaction(here, service.qualifiers), builder.facts, notes)
        builder.egress.update(dict.fromkeys(made))
    for index, pods in enumerate(rules.pods):
        here = place.at("toPods", index)
        reaction(here, pods.qualifiers)
        notes.append(here.note("needs the controller of a cluster: a node alone does not know the addresses of pods"))


def reaction(place: Place, qualifiers: tuple[str, ...]) -> Reaction:
    """What the qualifiers of the rule at ``place`` ask for.

    Raises:
        PolicyError: a word that is neither ``deny`` nor ``audit``.
    """
    here = place.at("qualifiers")
    for index, word in enumerate(qualifiers):
        if word == "allow":
            raise here.at(index).error(
                "unknown qualifier 'allow'; expected deny or audit; what no rule denies is allowed anyway"
            )
    words = here.lookup(qualifiers, _QUALIFIERS, "qualifier", "deny or audit")
    return Reaction(deny="deny" in words, audit="audit" in words)

# SPDX-License-Identifier: Apache-2.0
"""How two sets of BPF rules differ, apart from their path rules: request by request, or rule by rule for mounts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import pairwise

from varmor.advice.bpf_rules import (
    ALL_CAPABILITIES,
    Judged,
    Network,
    judge_capability,
    judge_egress,
    judge_operation,
    judge_ptrace,
    judge_socket,
)
from varmor.advice.path_rules import Verdict
from varmor.catalog.capabilities import NAMES
from varmor.profile.egress import MAX_PORT
from varmor.profile.tables import SWITCHES
from varmor.profile.types import BpfProfile, EgressRule, MountRule, PtracePermission, SocketProtocol

_DOMAINS = range(46)
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket", 6: "dccp", 10: "packet"}
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True, slots=True)
class BpfChange:
    """One request, or class of requests, that the two sides judge differently."""

    what: str
    before: Verdict
    after: Verdict
    origin: str


def bpf_changes(old: BpfProfile, new: BpfProfile) -> Iterator[BpfChange]:
    """All changes but those of path rules."""
    for number in ALL_CAPABILITIES:
        yield from _change(f"capability {NAMES[number]}", judge_capability(old, number), judge_capability(new, number))
    for operation in sorted(_operations(old) | _operations(new)):
        yield from _change(operation, judge_operation(old, operation), judge_operation(new, operation))
    for permission in PtracePermission:
        for inside, where in ((False, "of other workloads"), (True, "within the workload")):
            before, after = (judge_ptrace(side, permission, inside=inside) for side in (old, new))
            name = (permission.name or "").lower().replace("_", "-")
            yield from _change(f"ptrace {name} {where}", before, after)
    yield from _socket_changes(old, new)
    yield from _egress_changes(old, new)
    yield from _mount_changes(old, new)


def _change(what: str, before: Judged, after: Judged) -> Iterator[BpfChange]:
    if before[0] != after[0]:
        yield BpfChange(what, before[0], after[0], after[1] or before[1])


def _operations(profile: BpfProfile) -> set[str]:
    return {rule.operation for rule in profile.switches} | (set(SWITCHES) if profile.allow is not None else set())


def _socket_changes(old: BpfProfile, new: BpfProfile) -> Iterator[BpfChange]:
    """By domain; types and protocols are named only where the domain does not change as a whole."""
    if (old.sockets, old.allow) == (new.sockets, new.allow):
        return
    for domain in _DOMAINS:
        found: dict[tuple[int, SocketProtocol], BpfChange] = {}
        for kind, type_name in _TYPES.items():
            for protocol in SocketProtocol:
                what = f"socket {_domain(domain)} {type_name} {(protocol.name or '').lower()}"
                before, after = judge_socket(old, domain, kind, protocol), judge_socket(new, domain, kind, protocol)
                for change in _change(what, before, after):
                    found[kind, protocol] = change
        alike = {(change.before, change.after) for change in found.values()}
        if len(found) == len(_TYPES) * len(SocketProtocol) and len(alike) == 1:
            yield replace(next(iter(found.values())), what=f"socket {_domain(domain)}")
        else:
            yield from found.values()


def _domain(number: int) -> str:
    names = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}
    return names.get(number, f"domain {number}")


def _egress_changes(old: BpfProfile, new: BpfProfile) -> Iterator[BpfChange]:
    """At every network that a rule names: what holds there but for longer prefixes, which have lines of their own."""
    rules = [*_egress_rules(old), *_egress_rules(new)]
    if (old.egress, old.allow) == (new.egress, new.allow):
        return
    networks: set[Network] = {rule.network for rule in rules if rule.network is not None} | set(_EVERYWHERE)
    ends = {0, MAX_PORT + 1} | {port for rule in rules for low, high in rule.ports for port in (low, high + 1)}
    for network in sorted(networks, key=lambda item: (item.version, item.prefixlen, item.network_address.packed)):
        yield from _joined(network, ends, functools.partial(_at, old, new, network))


def _at(old: BpfProfile, new: BpfProfile, network: Network, port: int) -> tuple[Judged, Judged]:
    return judge_egress(old, network, port), judge_egress(new, network, port)


def _joined(
    network: Network, ends: Iterable[int], judge: Callable[[int], tuple[Judged, Judged]]
) -> Iterator[BpfChange]:
    spans: list[tuple[int, int, Judged, Judged]] = []
    for low, after in pairwise(sorted(ends)):
        first, second = judge(low)
        if spans and spans[-1][1] + 1 == low and spans[-1][2:] == (first, second):
            spans[-1] = (spans[-1][0], after - 1, first, second)
        else:
            spans.append((low, after - 1, first, second))
    for low, high, first, second in spans:
        ports = "" if (low, high) == (0, MAX_PORT) else f" port {low}" + (f"-{high}" if high > low else "")
        yield from _change(f"connect {network}{ports}", first, second)


def _egress_rules(profile: BpfProfile) -> tuple[EgressRule, ...]:
    return profile.egress + (profile.allow.egress if profile.allow is not None else ())


def _mount_changes(old: BpfProfile, new: BpfProfile) -> Iterator[BpfChange]:
    """Mount rules are compared as written."""
    before, after = _mounts(old), _mounts(new)
    for body in sorted(set(before) | set(after)):
        nothing: Judged = (Verdict(), "")
        yield from _change(body, before.get(body, nothing), after.get(body, nothing))
    allowed_before, allowed_after = _allowed_mounts(old), _allowed_mounts(new)
    for body in sorted(allowed_before ^ allowed_after):
        denied, allowed = Verdict(denied=True), Verdict()
        sides = (denied, allowed) if body in allowed_after else (allowed, denied)
        yield BpfChange(body, *sides, origin="allow-list")


def _mounts(profile: BpfProfile) -> dict[str, Judged]:
    found: dict[str, Judged] = {}
    for rule in profile.mounts:
        verdict, origin = found.get(_mount(rule), (Verdict(), rule.origin))
        found[_mount(rule)] = Verdict(verdict.denied or rule.deny, verdict.recorded or rule.audit), origin
    return found


def _allowed_mounts(profile: BpfProfile) -> set[str]:
    if profile.allow is None or not profile.allow.deny:
        return {"mount ** fstype=*"}
    return {_mount(rule) for rule in profile.allow.mounts}


def _mount(rule: MountRule) -> str:
    target = f" on {rule.target}" if rule.target != "**" else ""
    every = 0xFFFFFFFF
    flags = "" if rule.flags & every == every else f" flags={rule.flags:#x}/{rule.reverse:#x}"
    return f"mount {rule.source}{target} fstype={rule.fstype}{flags}"

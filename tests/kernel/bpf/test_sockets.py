# SPDX-License-Identifier: Apache-2.0
"""Socket rules: what the kernel will really speak counts, not what the caller wrote."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from varmor.kernel.bpf.events import NewSocket
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import AllowList, BpfProfile, SocketProtocol, SocketRule

EACCES = f"errno {errno.EACCES}"
ANY = SocketProtocol(0)
EVERY_CAPABILITY = (1 << 64) - 1
TCP, UDP, ICMP = SocketProtocol.TCP, SocketProtocol.UDP, SocketProtocol.ICMP
INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, DGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
MPTCP, UDPLITE, ICMPV6, SMC, ALG = 262, 136, 58, 43, 38


def rule(
    *domains: int, kinds: tuple[int, ...] = (), protocols: SocketProtocol = ANY, deny: bool = True, audit: bool = True
) -> SocketRule:
    """A socket rule."""
    bits = [sum(1 << number for number in numbers) for numbers in (domains, kinds)]
    return SocketRule(bits[0], bits[1], protocols, deny=deny, audit=audit, origin="test")


def make(domain: int, kind: int, protocol: int = 0) -> Callable[[], None]:
    """Makes such a socket."""

    def attempt() -> None:
        socket.socket(domain, kind, protocol).close()

    return attempt


def refused(workload: Workload, *attempt: int) -> bool:
    """Whether the policy refuses a socket (the kernel's own refusals have other numbers)."""
    return workload.call(make(*attempt)) == EACCES


def test_tcp_without_its_number(workload: Workload, free: Cgroup) -> None:
    workload.apply(BpfProfile(sockets=(rule(protocols=TCP),)))
    assert in_child(make(INET, STREAM), before=free.enter) == "None"
    assert refused(workload, INET, STREAM)
    event = workload.events()[-1]
    assert (event.hook, event.verdict, event.socket) == (Hook.SOCKET, Verdict.DENIED, NewSocket(INET, STREAM, TCP))
    for attempt in ((INET, STREAM, 6), (INET6, STREAM), (INET, STREAM, MPTCP), (INET, RAW, 6), (INET, RAW, 255)):
        assert refused(workload, *attempt), attempt
    for neighbour in ((INET, DGRAM), (INET, RAW, 1), (UNIX, STREAM), (INET6, RAW, ICMPV6)):
        assert workload.call(make(*neighbour)) == "None", neighbour


def test_udp(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(protocols=UDP),)))
    for attempt in ((INET, DGRAM), (INET, DGRAM, 17), (INET6, DGRAM), (INET, DGRAM, UDPLITE), (INET, RAW, 17)):
        assert refused(workload, *attempt), attempt
    for neighbour in ((INET, STREAM), (INET, RAW, 1), (UNIX, DGRAM)):
        assert workload.call(make(*neighbour)) == "None", neighbour


def test_icmp(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(protocols=ICMP),)))
    for attempt in ((INET, RAW, 1), (INET6, RAW, ICMPV6), (INET, DGRAM, 1), (INET6, DGRAM, ICMPV6), (INET, RAW, 255)):
        assert refused(workload, *attempt), attempt
    for neighbour in ((INET, STREAM), (INET, DGRAM), (INET, RAW, 17)):
        assert workload.call(make(*neighbour)) == "None", neighbour


def test_domains(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(INET6, ALG),)))
    assert refused(workload, INET6, STREAM)
    assert refused(workload, ALG, socket.SOCK_SEQPACKET)
    assert workload.call(make(INET, STREAM)) == "None"
    assert workload.call(make(UNIX, STREAM)) == "None"


def test_types(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(INET, kinds=(RAW,)),)))
    assert refused(workload, INET, RAW, 1)
    assert workload.call(make(INET, STREAM)) == "None"
    assert workload.call(make(socket.AF_NETLINK, RAW)) == "None"


def test_every_mask_must_hold(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(INET, kinds=(STREAM,), protocols=TCP),)))
    assert refused(workload, INET, STREAM)
    assert workload.call(make(INET6, STREAM)) == "None"
    assert workload.call(make(INET, RAW, 6)) == "None"


def test_pairs(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(UNIX),)))

    def pair() -> None:
        for end in socket.socketpair(UNIX, STREAM):
            end.close()

    assert workload.call(pair) == EACCES
    assert workload.call(make(INET, STREAM)) == "None"


def test_flags_in_the_type_change_nothing(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(INET, kinds=(DGRAM,)),)))
    assert refused(workload, INET, DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def test_recorded_only(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(INET, deny=False),)))
    assert workload.call(make(INET, STREAM)) == "None"
    assert [event.verdict for event in workload.events()] == [Verdict.AUDIT]


@pytest.mark.parametrize("observed", [False, True])
def test_allow_list(workload: Workload, observed: bool) -> None:
    allowed = (rule(INET, protocols=TCP, deny=False, audit=False), rule(UNIX, deny=False, audit=False))
    workload.apply(BpfProfile(allow=AllowList(deny=not observed, audit=True, sockets=allowed)))
    for neighbour in ((INET, STREAM), (UNIX, DGRAM)):
        assert workload.call(make(*neighbour)) == "None", neighbour
    assert [event for event in workload.events() if event.hook is Hook.SOCKET] == []
    for attempt in ((INET, DGRAM), (INET6, STREAM)):
        assert workload.call(make(*attempt)) == ("None" if observed else EACCES), attempt
    found = [event.verdict for event in workload.events() if event.hook is Hook.SOCKET]
    assert found == [Verdict.AUDIT if observed else Verdict.DENIED] * 2


def test_an_allow_rule_must_name_all_that_a_raw_socket_can_speak(workload: Workload) -> None:
    narrow, wide = (rule(INET, protocols=found, deny=False, audit=False) for found in (TCP | UDP, ANY))
    workload.apply(
        BpfProfile(allow=AllowList(deny=True, audit=False, sockets=(narrow,), capabilities=EVERY_CAPABILITY))
    )
    assert workload.call(make(INET, RAW, 6)) == "None"
    assert refused(workload, INET, RAW, 255)
    workload.apply(BpfProfile(allow=AllowList(deny=True, audit=False, sockets=(wide,), capabilities=EVERY_CAPABILITY)))
    assert workload.call(make(INET, RAW, 255)) == "None"


def test_smc_is_tcp(workload: Workload) -> None:
    workload.apply(BpfProfile(sockets=(rule(protocols=TCP),)))
    assert refused(workload, SMC, STREAM)

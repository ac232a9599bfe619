# SPDX-License-Identifier: Apache-2.0
"""Capabilities and destinations."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from tests.kernel.bpf.conftest import Cgroup, Workload, in_child
from tests.kernel.bpf.rules import capability, egress
from varmor.kernel.bpf.layout import Hook, Verdict
from varmor.profile.types import BpfProfile

EPERM = f"errno {errno.EPERM}"
CAP_SYS_CHROOT = 18
CAP_SYS_TIME = 25
CAP_NET_RAW = 13


def test_capability(workload: Workload, free: Cgroup) -> None:
    workload.apply(BpfProfile(capabilities=(capability(CAP_SYS_CHROOT),)))
    assert in_child(lambda: os.chroot("/"), before=free.enter) == "None"
    assert workload.call(lambda: os.chroot("/")) == EPERM
    event = workload.events()[-1]
    assert (event.hook, event.verdict, event.capability) == (Hook.CAPABLE, Verdict.DENIED, CAP_SYS_CHROOT)
    assert workload.call(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())) == "None"


def test_capability_is_recorded_and_granted(workload: Workload) -> None:
    workload.apply(BpfProfile(capabilities=(capability(CAP_SYS_CHROOT, deny=False),)))
    assert workload.call(lambda: os.chroot("/")) == "None"
    assert [event.verdict for event in workload.events()] == [Verdict.AUDIT]


def test_raw_socket(workload: Workload) -> None:
    workload.apply(BpfProfile(capabilities=(capability(CAP_NET_RAW),)))

    def attack() -> None:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()

    assert workload.call(attack) == EPERM


@pytest.fixture
def listeners() -> Iterator[dict[str, int]]:
    """TCP ports on the loopback addresses of both families."""
    sockets = {
        "4": socket.create_server(("127.0.0.1", 0)),
        "6": socket.create_server(("::1", 0), family=socket.AF_INET6),
    }
    yield {name: server.getsockname()[1] for name, server in sockets.items()}
    for server in sockets.values():
        server.close()


def _connect(
    address: str, port: int, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM
) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket(family, kind) as client:
            client.connect((address, port))

    return attempt


def _send(address: str, port: int, family: int = socket.AF_INET) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (address, port))

    return attempt


def test_connect_to_a_network(workload: Workload, free: Cgroup, listeners: dict[str, int]) -> None:
    port = listeners["4"]
    workload.apply(BpfProfile(egress=(egress("127.0.0.0/8"),)))
    assert in_child(_connect("127.0.0.1", port), before=free.enter) == "None"
    assert workload.call(_connect("127.0.0.1", port)) == EPERM
    event = workload.events()[-1]
    assert (event.hook, event.address, event.port) == (Hook.CONNECT, ip_address("127.0.0.1"), port)
    assert workload.call(_connect("::1", listeners["6"], socket.AF_INET6)) == "None"


def test_mapped_address_is_judged_as_ipv4(workload: Workload, free: Cgroup, listeners: dict[str, int]) -> None:
    workload.apply(BpfProfile(egress=(egress("127.0.0.1/32"),)))
    attempt = _connect("::ffff:127.0.0.1", listeners["4"], socket.AF_INET6)
    assert in_child(attempt, before=free.enter) == "None"
    assert workload.call(attempt) == EPERM
    assert workload.events()[-1].address == ip_address("127.0.0.1")
    assert workload.call(_send("::ffff:127.0.0.1", 9, socket.AF_INET6)) == EPERM
    assert workload.call(_send("::ffff:127.0.0.2", 9, socket.AF_INET6)) == "None"


def test_ipv6_network(workload: Workload, listeners: dict[str, int]) -> None:
    workload.apply(BpfProfile(egress=(egress("::1/128"),)))
    assert workload.call(_connect("::1", listeners["6"], socket.AF_INET6)) == EPERM
    assert workload.events()[-1].address == ip_address("::1")
    assert workload.call(_connect("127.0.0.1", listeners["4"])) == "None"


def test_ports(workload: Workload, listeners: dict[str, int]) -> None:
    port = listeners["4"]
    workload.apply(BpfProfile(egress=(egress(None, (port, port)), egress(None, (1, 3)))))
    assert workload.call(_connect("127.0.0.1", port)) == EPERM
    assert workload.call(_connect("127.0.0.1", 2)) == EPERM
    assert workload.call(_connect("127.0.0.1", 4)) == f"errno {errno.ECONNREFUSED}"
    assert workload.call(_connect("::1", 3, socket.AF_INET6)) == EPERM


def test_longest_prefix_carries_what_wider_rules_say(workload: Workload) -> None:
    workload.apply(BpfProfile(egress=(egress("127.0.0.0/8", (1, 1)), egress("127.0.0.1/32", (2, 2)))))
    assert workload.call(_connect("127.0.0.1", 1)) == EPERM
    assert workload.call(_connect("127.0.0.1", 2)) == EPERM
    assert workload.call(_connect("127.0.0.2", 1)) == EPERM
    assert workload.call(_connect("127.0.0.2", 2)) == f"errno {errno.ECONNREFUSED}"


def test_datagram_with_a_destination_of_its_own(workload: Workload, free: Cgroup) -> None:
    workload.apply(BpfProfile(egress=(egress("127.0.0.1/32"),)))
    assert in_child(_send("127.0.0.1", 9), before=free.enter) == "None"
    assert workload.call(_send("127.0.0.1", 9)) == EPERM
    assert workload.events()[-1].hook is Hook.SENDMSG
    assert workload.call(_send("127.0.0.2", 9)) == "None"
    assert workload.call(_connect("127.0.0.1", 9, kind=socket.SOCK_DGRAM)) == EPERM


def test_many_ranges(workload: Workload) -> None:
    ranges = [(port, port) for port in range(1001, 3001, 2)]
    workload.apply(BpfProfile(egress=(egress("127.0.0.1/32", *ranges),)))
    assert workload.call(_connect("127.0.0.1", 2999)) == EPERM
    assert workload.call(_connect("127.0.0.1", 3000)) == f"errno {errno.ECONNREFUSED}"


def test_egress_can_be_recorded_only(workload: Workload, listeners: dict[str, int]) -> None:
    workload.apply(BpfProfile(egress=(egress("127.0.0.1/32", deny=False),)))
    assert workload.call(_connect("127.0.0.1", listeners["4"])) == "None"
    assert [event.verdict for event in workload.events()] == [Verdict.AUDIT]

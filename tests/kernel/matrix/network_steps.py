# SPDX-License-Identifier: Apache-2.0
"""Scenarios of rules about sockets and destinations."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import subprocess
from pathlib import Path

from tests.kernel.matrix.capability_steps import work
from tests.kernel.matrix.file_steps import both, connect_unix, listen_unix, on_stage
from tests.kernel.matrix.scenario import REFUSED, Evasion, Scenario, Stage, Step, nothing, passes
from tests.kernel.matrix.shared import OTHER_PORT, PORT
from varmor.policy.types import Enforcer

V4, V6, STREAM, DGRAM, RAW = (
    socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW,
)  # fmt: skip
Ways = dict[str, Step | Evasion]


def make(family: int, kind: int, protocol: int = 0) -> Step:
    """Make a socket."""
    return lambda _stage: socket.socket(family, kind, protocol).close()


def pair(kind: int = STREAM) -> Step:
    """Make a pair of unix sockets."""

    def step(_stage: Stage) -> None:
        for sock in socket.socketpair(socket.AF_UNIX, kind):
            sock.close()

    return step


def _ends(address: str, port: int) -> tuple[int, tuple[object, ...]]:
    if ":" not in address:
        return V4, (address, port)
    return V6, (address, port, 0, socket.if_nametoindex("lo") if address.startswith("fe80") else 0)


def connect(address: str, kind: int = STREAM, port: int = PORT) -> Step:
    """Connect to an address."""

    def step(_stage: Stage) -> None:
        family, end = _ends(address, port)
        with socket.socket(family, kind) as sock:
            sock.settimeout(30)
            sock.connect(end)

    return step


def send(address: str, port: int = PORT) -> Step:
    """Send a datagram without connecting."""

    def step(_stage: Stage) -> None:
        family, end = _ends(address, port)
        with socket.socket(family, DGRAM) as sock:
            sock.sendto(b"x", end)

    return step


def send_message(address: str, port: int = PORT) -> Step:
    """The same by sendmsg(2)."""

    def step(_stage: Stage) -> None:
        family, end = _ends(address, port)
        with socket.socket(family, DGRAM) as sock:
            sock.sendmsg([b"x"], [], 0, end)

    return step


def fast_open(address: str, port: int = PORT) -> Step:
    """Connect by sending (TCP fast open)."""

    def step(_stage: Stage) -> None:
        family, end = _ends(address, port)
        with socket.socket(family, STREAM) as sock:
            sock.sendto(b"x", socket.MSG_FASTOPEN, end)

    return step


def destination(address: str, *others: str, neighbour: str = "169.254.1.1", ways: Ways | None = None) -> Scenario:
    """A rule against reaching an address, by whatever means."""
    evasions: Ways = {f"address {other}": connect(other) for other in others}
    evasions["another port"] = connect(address, port=OTHER_PORT)
    evasions["udp"] = connect(address, DGRAM)
    evasions["sendto"] = send(address)
    evasions["sendmsg"] = send_message(address)
    evasions["fast open"] = fast_open(address)
    if ":" not in address:
        mapped = f"::ffff:{address}"
        evasions["mapped into ipv6"] = connect(mapped)
        evasions["mapped, sendto"] = send(mapped)
    return Scenario(
        attack=connect(address),
        neighbour=both(work, connect(neighbour), send(neighbour), connect("::1"), connect("127.0.0.1")),
        evasions={**evasions, **(ways or {})},
    )


def plain(_stage: Stage) -> None:
    """Work without any socket."""
    read, write = os.pipe()
    os.write(write, b"x")
    assert os.read(read, 1) == b"x"
    assert list(Path("/etc").iterdir())


def _tcp_ways(*families: int) -> Ways:
    found: Ways = {}
    for family in families:
        name = "ipv4" if family == V4 else "ipv6"
        found[f"{name}, protocol 0"] = make(family, STREAM)
        found[f"{name}, protocol named"] = make(family, STREAM, 6)
        found[f"{name}, mptcp"] = make(family, STREAM, 262)
    return found


def _udp_ways() -> Ways:
    found: Ways = {}
    for family, name in ((V4, "ipv4"), (V6, "ipv6")):
        found[f"{name}, protocol 0"] = make(family, DGRAM)
        found[f"{name}, protocol named"] = make(family, DGRAM, 17)
        found[f"{name}, lite"] = make(family, DGRAM, 136)
    return found


_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_TCP = make(V4, STREAM)
_UDP = make(V4, DGRAM)
_UNIX = make(socket.AF_UNIX, STREAM)
_NETLINK = make(socket.AF_NETLINK, RAW)
_RUNTIME = on_stage("run/containerd/containerd.sock")
_OTHER = on_stage("run/other.sock")


def _relative(stage: Stage) -> None:
    os.chdir(_RUNTIME(stage).parent)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("containerd.sock")


def _by_link(stage: Stage) -> None:
    link = stage.path("link.sock")
    link.unlink(missing_ok=True)
    link.symlink_to(_RUNTIME(stage))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(link))


def _by_descriptor(stage: Stage) -> None:
    descriptor = os.open(_RUNTIME(stage), os.O_PATH)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"/proc/self/fd/{descriptor}")


def _by_hard_link(stage: Stage) -> None:
    link = stage.path("hard.sock")
    link.unlink(missing_ok=True)
    os.link(_RUNTIME(stage), link)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(link))


def _datagram(stage: Stage) -> None:
    with socket.socket(socket.AF_UNIX, DGRAM) as sock:
        sock.sendto(b"x", str(stage.directory / "dgram" / "docker.sock"))


def _packet_filter(level: int, option: int) -> Step:
    def step(_stage: Stage) -> None:
        family = V6 if level == 41 else V4
        with socket.socket(family, RAW, 6) as sock:
            try:
                sock.setsockopt(level, option, bytes(1))
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOPROTOOPT):
                    raise

    return step


def ports(*numbers: int, others: Ways | None = None, setup: Step = nothing) -> Scenario:
    """A rule against reaching ports of any address."""
    first, *rest = numbers
    return Scenario(
        attack=connect("127.0.0.1", port=first),
        neighbour=both(work, connect("127.0.0.1"), connect("::1"), connect("127.0.0.1", DGRAM)),
        evasions={
            **{f"port {number}": connect("127.0.0.1", port=number) for number in rest},
            "ipv6": connect("::1", port=first),
            "mapped into ipv6": connect("::ffff:127.0.0.1", port=first),
            "another address": connect("169.254.1.1", port=first),
            "fast open": fast_open("127.0.0.1", first),
            **(others or {}),
        },
        setup=setup,
    )


_WIRESERVER = "168.63.129.16"
_BUS = on_stage("run/dbus/system_bus_socket")
_KUBELET = on_stage("var/lib/kubelet/pod-resources/kubelet.sock")
_UNSUPPORTED = REFUSED | {errno.EAFNOSUPPORT}


def _load_rare_families(_stage: Stage) -> None:
    """Debian's modules do not come by themselves for these."""
    subprocess.run(["modprobe", "-a", "tipc", "dccp_ipv4"], check=True)


NEWER: dict[str, Scenario] = {
    "block-access-to-azure-metadata-service": destination(
        "169.254.169.254",
        ways={"wireserver": connect(_WIRESERVER, port=80), "wireserver, sendto": send(_WIRESERVER, 80)},
    ),
    "block-access-to-gcp-metadata-service": destination("169.254.169.254", "fd20:ce::254"),
    "block-access-to-openstack-metadata-service": destination("169.254.169.254", "fe80::a9fe:a9fe"),
    "block-access-to-tencent-metadata-service": destination("169.254.0.23"),
    "block-access-to-etcd": ports(2379, 2380),
    "block-access-to-kubelet": ports(
        10250, 10255, others={"socket": connect_unix(_KUBELET)}, setup=listen_unix(_KUBELET)
    ),
    "block-access-to-host-daemons": Scenario(
        attack=connect_unix(_BUS),
        neighbour=both(work, connect_unix(_OTHER)),
        evasions={"systemd": connect_unix(on_stage("run/systemd/private"))},
        setup=both(listen_unix(_BUS), listen_unix(on_stage("run/systemd/private")), listen_unix(_OTHER)),
    ),
    "disable-sctp": Scenario(
        attack=make(V4, STREAM, 132),
        neighbour=both(plain, _TCP, _UDP, connect("127.0.0.1"), connect("::1")),
        evasions={"ipv6": make(V6, STREAM, 132), "packets": make(V4, socket.SOCK_SEQPACKET, 132)},
    ),
    "disallow-netfilter": Scenario(
        attack=make(socket.AF_NETLINK, RAW, 12),
        neighbour=both(plain, _NETLINK, _TCP, _UDP, make(V4, RAW, 1)),
        evasions={
            "datagrams": make(socket.AF_NETLINK, DGRAM, 12),
            "iptables": _packet_filter(0, 64),
            "ip6tables": _packet_filter(41, 64),
        },
    ),
    "disallow-packet-sockets": Scenario(
        attack=make(socket.AF_PACKET, RAW),
        neighbour=both(plain, _TCP, _UDP, _NETLINK),
        evasions={"datagrams": make(socket.AF_PACKET, DGRAM), "old form": make(V4, 10)},
    ),
    "disallow-rare-socket-families": Scenario(
        attack=make(29, RAW, 1),
        neighbour=both(plain, _TCP, _UDP, _UNIX, _NETLINK, make(V6, STREAM)),
        evasions={"tipc": make(30, socket.SOCK_SEQPACKET), "dccp": passes(make(V4, 6, 33), Enforcer.APPARMOR)},
        setup=_load_rare_families,
        refused=_UNSUPPORTED,
    ),
    "disallow-vsock": Scenario(
        attack=make(40, STREAM), neighbour=both(plain, _TCP, _UNIX), evasions={"datagrams": make(40, DGRAM)}
    ),
}

_ADDRESSES = {
    "block-access-to-metadata-service": ("169.254.169.254", "fd00:ec2::254", "100.96.0.96"),
    "block-access-to-volc-metadata-service": ("100.96.0.96",),
    "block-access-to-alibaba-metadata-service": ("100.100.100.200",),
    "block-access-to-aws-metadata-service": ("169.254.169.254", "fd00:ec2::254"),
    "block-access-to-oci-metadata-service": ("192.0.0.192",),
    "block-access-to-kube-apiserver": ("10.96.0.1",),
    "ingress-nightmare-mitigation": ("10.96.0.2", "10.96.0.3"),
}
for _group in _ADDRESSES.values():
    for _address in _group:
        ipaddress.ip_address(_address)

SCENARIOS: dict[str, Scenario] = {
    **NEWER,
    **{name: destination(*addresses) for name, addresses in _ADDRESSES.items()},
    "disable-network": Scenario(
        attack=_TCP,
        neighbour=plain,
        evasions={
            "udp": _UDP,
            "ipv6": make(V6, STREAM),
            "unix": _UNIX,
            "pair": pair(),
            "netlink": _NETLINK,
            "packet": make(socket.AF_PACKET, RAW),
        },
    ),
    "disable-inet": Scenario(
        attack=_TCP,
        neighbour=both(plain, make(V6, STREAM), pair(), _UNIX),
        evasions={
            "udp": _UDP,
            "raw": make(V4, RAW, 1),
            "flags": make(V4, STREAM | _FLAGS),
            "named": make(V4, STREAM, 6),
        },
    ),
    "disable-inet6": Scenario(
        attack=make(V6, STREAM),
        neighbour=both(plain, _TCP, pair(), connect("127.0.0.1")),
        evasions={"udp": make(V6, DGRAM), "raw": make(V6, RAW, 58), "flags": make(V6, STREAM | _FLAGS)},
    ),
    "disable-unix-domain-socket": Scenario(
        attack=_UNIX,
        neighbour=both(plain, _TCP, connect("127.0.0.1")),
        evasions={"datagrams": make(socket.AF_UNIX, DGRAM), "pair": pair(), "packets": pair(socket.SOCK_SEQPACKET)},
    ),
    "disable-icmp": Scenario(
        attack=make(V4, RAW, 1),
        neighbour=both(plain, _TCP, _UDP, connect("127.0.0.1")),
        evasions={
            "ipv6": make(V6, RAW, 58),
            "ping socket": passes(make(V4, DGRAM, 1), Enforcer.APPARMOR),
            "ipv6 ping socket": passes(make(V6, DGRAM, 58), Enforcer.APPARMOR),
        },
    ),
    "disable-tcp": Scenario(
        attack=_TCP,
        neighbour=both(plain, _UDP, send("127.0.0.1"), pair()),
        evasions={**_tcp_ways(V4, V6), "flags": make(V4, STREAM | _FLAGS)},
    ),
    "disable-udp": Scenario(
        attack=_UDP,
        neighbour=both(plain, _TCP, connect("127.0.0.1"), pair()),
        evasions={**_udp_ways(), "flags": make(V4, DGRAM | _FLAGS)},
    ),
    "block-access-to-container-runtime": Scenario(
        attack=connect_unix(_RUNTIME),
        neighbour=both(work, connect_unix(_OTHER)),
        evasions={
            "docker": connect_unix(on_stage("var/run/docker.sock")),
            "crio": connect_unix(on_stage("run/crio/crio.sock")),
            "relative": _relative,
            "symbolic link": _by_link,
            "descriptor": _by_descriptor,
            "hard link": _by_hard_link,
            "datagram": _datagram,
        },
        setup=both(
            *(
                listen_unix(on_stage(name))
                for name in (
                    "run/containerd/containerd.sock", "var/run/docker.sock", "run/crio/crio.sock", "run/other.sock",
                )
            ),
            listen_unix(on_stage("dgram/docker.sock"), DGRAM),
        ),
    ),
    "copy-fail-mitigation": Scenario(
        attack=make(38, socket.SOCK_SEQPACKET),
        neighbour=both(work, _TCP, _UDP, pair(), _NETLINK),
        evasions={"flags": make(38, socket.SOCK_SEQPACKET | _FLAGS)},
    ),
}  # fmt: skip

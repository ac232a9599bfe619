# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import profile
from varmor.errors import PolicyError
from varmor.profile.bpf_words import ALL_FLAGS, DOMAINS, UMOUNT
from varmor.profile.types import (
    Access,
    BpfProfile,
    NodeFacts,
    Profile,
    PtracePermission,
    PtraceRule,
    ServiceEndpoints,
    SocketProtocol,
    SocketRule,
)

WRITE = Access.WRITE | Access.APPEND


def _bpf(rules: dict[str, Any]) -> BpfProfile:
    made = profile(enforcer="BPF", privileged=True, bpfRawRules=rules).bpf
    assert made is not None
    return made


def _file(**changes: Any) -> dict[str, Any]:
    return {"files": [{"qualifiers": ["deny"], "pattern": "/x", "permissions": ["read"], **changes}]}


def _to(**values: Any) -> dict[str, Any]:
    return {"network": {"egress": {"toDestinations": [{"qualifiers": ["deny"], **values}]}}}


@pytest.mark.parametrize(
    ("words", "access"),
    [
        (["r"], Access.READ),
        (["Write"], WRITE),
        (["append"], Access.APPEND),
        (["x"], Access.EXEC),
        (["map"], Access.MAP),
        (["read", "exec"], Access.READ | Access.EXEC),
        (["all"], Access.READ | WRITE | Access.EXEC),
        (["*"], Access.READ | WRITE | Access.EXEC),
    ],
)
@pytest.mark.parametrize("part", ["files", "processes"])
def test_permissions(words: list[str], access: Access, part: str) -> None:
    made = _bpf({part: [{"qualifiers": ["deny"], "pattern": "/x", "permissions": words}]})
    assert [rule.access for rule in made.paths] == [access]
    assert made.paths[0].origin == f"bpfRawRules.{part}[0]"


def test_qualifiers_and_pattern() -> None:
    (rule,) = _bpf(_file(qualifiers=["AUDIT"], pattern="*.key")).paths
    assert (rule.deny, rule.audit, rule.pattern) == (False, True, "/{,**/}*.key")


@pytest.mark.parametrize(
    ("values", "networks"),
    [
        ({"ip": "10.0.0.1"}, ["10.0.0.1/32"]),
        ({"ip": "::ffff:10.0.0.1"}, ["10.0.0.1/32"]),
        ({"ip": "fe80::1"}, ["fe80::1/128"]),
        ({"ip": "LOCALHOST"}, ["127.0.0.0/8", "::1/128"]),
        ({"ip": "unspecified"}, ["0.0.0.0/32", "::/128"]),
        ({"cidr": "10.0.0.0/8"}, ["10.0.0.0/8"]),
        ({"cidr": "0.0.0.0/0"}, ["0.0.0.0/0"]),
        ({"cidr": "::ffff:10.0.0.0/104"}, ["10.0.0.0/8"]),
        ({"cidr": "::/0"}, ["::/0"]),
        ({"ports": [{"port": 25}]}, ["None"]),
    ],
)
def test_networks(values: dict[str, Any], networks: list[str]) -> None:
    assert [str(rule.network) for rule in _bpf(_to(**values)).egress] == networks


def test_ports() -> None:
    ports = [{"port": 80}, {"port": 8000, "endPort": 8100}, {"port": 80, "endPort": 80}]
    assert _bpf(_to(ip="1.2.3.4", ports=ports)).egress[0].ports == ((80, 80), (8000, 8100))


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        (_file(qualifiers=["allow"]), "files[0].qualifiers[0]", "what no rule denies is allowed anyway"),
        (_file(qualifiers=["denny"]), "files[0].qualifiers[0]", "did you mean 'deny'?"),
        (_file(permissions=["execute"]), "files[0].permissions[0]", "unknown permission 'execute'"),
        (_file(pattern="etc/x"), "files[0].pattern", "is relative"),
        (_to(), "network.egress.toDestinations[0]", "expected ip, cidr or ports, found none"),
        (_to(ip="1.2.3.4", cidr="1.2.3.0/24"), "network.egress.toDestinations[0]", "found both"),
        (_to(ip="1.2.3.4.5"), "network.egress.toDestinations[0].ip", "is no IP address"),
        (_to(ip="10.0.0.0/8"), "network.egress.toDestinations[0].ip", "for networks use cidr"),
        (_to(ip="fe80::1%eth0"), "network.egress.toDestinations[0].ip", "leave out the % part"),
        (
            _to(cidr="10.0.0.1/8"),
            "network.egress.toDestinations[0].cidr",
            "has host bits set; the network is 10.0.0.0/8",
        ),
        (_to(cidr="10.0.0.1"), "network.egress.toDestinations[0].cidr", "has no prefix length"),
        (_to(cidr="ten/8"), "network.egress.toDestinations[0].cidr", "is no network"),
        (_to(ip="1.2.3.4", qualifiers=["x"]), "network.egress.toDestinations[0].qualifiers[0]", "unknown qualifier"),
    ],
)
def test_refused(rules: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _bpf(rules)
    assert caught.value.field == f"spec.policy.enhanceProtect.bpfRawRules.{field}"
    assert words in caught.value.problem


def test_refused_even_when_bpf_is_not_asked_for() -> None:
    with pytest.raises(PolicyError, match="is relative"):
        profile(enforcer="AppArmor", bpfRawRules=_file(pattern="x"))


@given(st.text(max_size=20))
def test_any_address_is_taken_or_refused(word: str) -> None:
    try:
        _bpf(_to(ip=word, cidr=""))
    except PolicyError:
        return


NODE = NodeFacts(
    services=(
        ServiceEndpoints(
            "default",
            "kubernetes",
            ((ip_network("10.96.0.1/32"), ()), (ip_network("192.0.2.7/32"), ((6443, 6443),))),
            (("component", "apiserver"),),
        ),
        ServiceEndpoints("shop", "db", ((ip_network("10.96.0.9/32"), ()),), (("app", "db"),)),
    )
)


def _made(rules: dict[str, Any], facts: NodeFacts | None = None) -> Profile:
    return profile(facts, enforcer="BPF", privileged=True, bpfRawRules=rules)


def _service(**values: Any) -> dict[str, Any]:
    return {"network": {"egress": {"toServices": [{"qualifiers": ["deny"], **values}]}}}


@pytest.mark.parametrize(
    ("values", "networks"),
    [
        ({"namespace": "default", "name": "kubernetes"}, ["10.96.0.1/32 ()", "192.0.2.7/32 ((6443, 6443),)"]),
        ({"serviceSelector": {"matchLabels": {"app": "db"}}}, ["10.96.0.9/32 ()"]),
        ({"namespace": "shop", "serviceSelector": {"matchLabels": {"app": "db"}}}, ["10.96.0.9/32 ()"]),
    ],
)
def test_services_that_the_node_knows(values: dict[str, Any], networks: list[str]) -> None:
    made = _made(_service(**values), NODE)
    assert made.bpf is not None
    assert [f"{rule.network} {rule.ports}" for rule in made.bpf.egress] == networks
    assert made.no_effect == ()


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        (
            _service(namespace="shop", name="cache"),
            "network.egress.toServices[0]",
            "needs the addresses of the service shop/cache, which this node does not know: list it",
        ),
        (
            _service(namespace="default", serviceSelector={"matchLabels": {"app": "db"}}),
            "network.egress.toServices[0]",
            "services with these labels",
        ),
        (
            {"network": {"egress": {"toPods": [{"qualifiers": ["deny"], "podSelector": {"matchLabels": {"a": "b"}}}]}}},
            "network.egress.toPods[0]",
            "needs the controller of a cluster",
        ),
        (_to(ip="Pod-Self"), "network.egress.toDestinations[0].ip", "'pod-self' needs the controller of a cluster"),
    ],
)
def test_what_only_a_cluster_knows_is_told(rules: dict[str, Any], field: str, words: str) -> None:
    made = _made(rules, NODE)
    assert made.bpf == BpfProfile()
    (note,) = made.no_effect
    assert note.field == f"spec.policy.enhanceProtect.bpfRawRules.{field}"
    assert words in note.message


@pytest.mark.parametrize(
    ("values", "domains", "types", "protocols"),
    [
        ({"domains": ["inet", "INET6"]}, 1 << 2 | 1 << 10, 0, 0),
        ({"domains": ["all"], "types": ["raw"]}, 0, 1 << 3, 0),
        ({"domains": ["inet", "*"]}, 0, 0, 0),
        ({"types": ["stream", "packet"]}, 0, 1 << 1 | 1 << 10, 0),
        ({"domains": ["inet"], "protocols": ["tcp", "udp"]}, 1 << 2, 0, SocketProtocol.TCP | SocketProtocol.UDP),
        ({"protocols": ["icmp"]}, 0, 0, SocketProtocol.ICMP),
        ({"domains": ["alg"]}, 1 << 38, 0, 0),
    ],
)
def test_sockets(values: dict[str, Any], domains: int, types: int, protocols: int) -> None:
    made = _bpf({"network": {"sockets": [{"qualifiers": ["deny", "audit"], **values}]}})
    origin = "bpfRawRules.network.sockets[0]"
    expected = SocketRule(domains, types, SocketProtocol(protocols), deny=True, audit=True, origin=origin)
    assert made.sockets == (expected,)


def test_all_44_domains() -> None:
    made = _bpf({"network": {"sockets": [{"qualifiers": ["deny"], "domains": list(DOMAINS)}]}})
    # 1 to 45 without decnet (12), which Linux has no more
    assert made.sockets[0].domains == sum(1 << number for number in range(1, 46) if number != 12)


@pytest.mark.parametrize(
    ("values", "permissions", "everywhere"),
    [
        ({"permissions": ["trace"]}, PtracePermission.TRACE, False),
        (
            {"permissions": ["read", "ReadBy"], "strictMode": True},
            PtracePermission.READ | PtracePermission.READ_BY,
            True,
        ),
        ({"permissions": ["traceby"]}, PtracePermission.TRACED_BY, False),
        ({"permissions": ["all"]}, PtracePermission(15), False),
        ({"permissions": ["*"], "strictMode": True}, PtracePermission(15), True),
    ],
)
def test_ptrace(values: dict[str, Any], permissions: PtracePermission, everywhere: bool) -> None:
    made = _bpf({"ptrace": {"qualifiers": ["deny"], **values}})
    rule = PtraceRule(permissions, everywhere, deny=True, audit=False, origin="bpfRawRules.ptrace")
    assert made.ptrace == (rule,)


def test_ptrace_changes_nothing_of_the_runtime_default() -> None:
    made = profile(enforcer="BPF", bpfRawRules={"ptrace": {"qualifiers": ["audit"], "permissions": ["traceby"]}})
    assert made.bpf is not None
    assert [(rule.origin, rule.deny, rule.audit) for rule in made.bpf.ptrace] == [
        ("runtime-default", True, False),
        ("bpfRawRules.ptrace", False, True),
    ]


def _mount(**changes: Any) -> dict[str, Any]:
    return {"mounts": [{"qualifiers": ["deny"], "sourcePattern": "**", "fstype": "*", "flags": ["all"], **changes}]}


@pytest.mark.parametrize(
    ("words", "flags", "reverse"),
    [
        (["remount"], 0x20, 0),
        (["bind"], 0x1000, 0),
        (["B"], 0x1000, 0),
        (["M"], 0x2000, 0),
        (["R"], 0x5000, 0),
        (["r"], 1, 0),
        (["rbind"], 0x5000, 0),
        (["make-rprivate"], 0x45000, 0),
        (["unbindable", "slave"], 0xA0000, 0),
        (["shared"], 0x100000, 0),
        (["ro", "nosuid", "nodev", "noexec", "sync", "mand", "dirsync"], 0xDF, 0),
        (["noatime", "nodiratime", "silent", "relatime", "iversion", "strictatime"], 0x1A08C00, 0),
        (["rw", "suid", "dev", "exec", "async", "nomand"], 0, 0x5F),
        (["atime", "diratime", "loud", "norelatime", "noiversion", "nostrictatime"], 0, 0x1A08C00),
        (["Umount"], UMOUNT, 0),
        (["*"], ALL_FLAGS, ALL_FLAGS),
    ],
)
def test_mount_flags(words: list[str], flags: int, reverse: int) -> None:
    (rule,) = _bpf(_mount(flags=words)).mounts
    assert (rule.flags, rule.reverse) == (flags, reverse)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", "**"),
        ("/dev/**", "/dev/**"),
        ("overlay", "overlay"),
        ("sda*", "{,/**/,/}sda*"),
        ("**proc", "**proc"),
        ("**/proc", "/{,**/}proc"),
    ],
)
def test_mount_sources(pattern: str, expected: str) -> None:
    (rule,) = _bpf(_mount(sourcePattern=pattern, fstype="*any")).mounts
    assert (rule.source, rule.fstype, rule.target) == (expected, "*", "**")


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        (_mount(flags=["bindd"]), "mounts[0].flags[0]", "unknown mount flag 'bindd'"),
        (_mount(flags=["bind", "rdonly"]), "mounts[0].flags[1]", "unknown mount flag 'rdonly'"),
        (_mount(fstype="a" * 16), "mounts[0].fstype", "at most 15 characters"),
        (_mount(sourcePattern="/dev/"), "mounts[0].sourcePattern", "ends with '/'"),
        (_mount(sourcePattern="x["), "mounts[0].sourcePattern", "without ']'"),
        (
            {"ptrace": {"qualifiers": ["deny"], "permissions": ["tracedby"]}},
            "ptrace.permissions[0]",
            "did you mean 'traceby'?",
        ),
        (
            {"network": {"sockets": [{"qualifiers": ["deny"], "domains": ["inet", "intet6"]}]}},
            "network.sockets[0].domains[1]",
            "did you mean 'inet6'?",
        ),
        (
            {"network": {"sockets": [{"qualifiers": ["deny"], "types": ["datagram"]}]}},
            "network.sockets[0].types[0]",
            "unknown socket type 'datagram'",
        ),
        (
            {"network": {"sockets": [{"qualifiers": ["denied"], "protocols": ["tcp"]}]}},
            "network.sockets[0].qualifiers[0]",
            "did you mean 'deny'?",
        ),
        (
            {"network": {"sockets": [{"qualifiers": ["deny"], "protocols": ["tpc"]}]}},
            "network.sockets[0].protocols[0]",
            "did you mean 'tcp'?",
        ),
    ],
)
def test_other_kinds_refused(rules: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _bpf(rules)
    assert caught.value.field == f"spec.policy.enhanceProtect.bpfRawRules.{field}"
    assert words in caught.value.problem

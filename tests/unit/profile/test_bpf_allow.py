# SPDX-License-Identifier: Apache-2.0
"""The allow-list of ``defenseInDepth.bpf.customProfile``: exactly what is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import defense
from varmor.catalog.capabilities import NUMBERS
from varmor.errors import PolicyError
from varmor.profile.tables import SWITCHES
from varmor.profile.types import Access, AllowList, NoEffect, Profile, PtracePermission

FIELD = "spec.policy.defenseInDepth.bpf.customProfile"


def _made(**custom: Any) -> Profile:
    return defense("BPF", bpf={"profileType": "Custom", "customProfile": custom})


def _allow(**custom: Any) -> AllowList:
    made = _made(**custom)
    assert made.bpf is not None
    assert made.bpf.allow is not None
    return made.bpf.allow


def test_an_empty_list_allows_nothing() -> None:
    assert _allow() == AllowList(deny=True, audit=True)


def test_every_kind() -> None:
    allow = _allow(
        files=[{"pattern": "/usr/lib/**", "permissions": ["read", "map"]}],
        processes=[{"pattern": "/usr/sbin/nginx", "permissions": ["exec"]}],
        network={
            "sockets": [{"domains": ["inet"], "types": ["stream"]}],
            "egress": {"toDestinations": [{"ip": "localhost", "ports": [{"port": 5432}]}]},
        },
        ptrace={"permissions": ["readby"]},
        mounts=[{"sourcePattern": "tmpfs", "fstype": "tmpfs", "flags": ["nosuid"]}],
        capabilities=["CAP_NET_BIND_SERVICE", "setuid"],
        operations=["userns_create"],
    )
    assert [(rule.pattern, rule.access) for rule in allow.paths] == [
        ("/usr/lib/**", Access.READ | Access.MAP),
        ("/usr/sbin/nginx", Access.EXEC),
    ]
    assert [str(rule.network) for rule in allow.egress] == ["127.0.0.0/8", "::1/128"]
    assert (allow.sockets[0].domains, allow.sockets[0].types) == (1 << 2, 1 << 1)
    assert allow.ptrace[0].permissions == PtracePermission.READ_BY
    assert (allow.mounts[0].source, allow.mounts[0].flags) == ("tmpfs", 2)
    assert allow.capabilities == 1 << NUMBERS["net_bind_service"] | 1 << NUMBERS["setuid"]
    assert allow.switches == ("userns_create",)
    rules: list[Any] = [*allow.paths, *allow.egress, *allow.sockets, *allow.ptrace, *allow.mounts]
    assert not any(rule.deny or rule.audit for rule in rules)
    assert allow.paths[0].origin == "defenseInDepth.bpf.customProfile.files[0]"


def test_all_capabilities_and_operations() -> None:
    allow = _allow(capabilities=["all"], operations=["*"])
    assert allow.capabilities == (1 << 41) - 1
    assert allow.switches == tuple(SWITCHES)


def test_what_a_node_does_not_know_is_not_allowed_and_told() -> None:
    made = _made(network={"egress": {"toDestinations": [{"ip": "pod-self"}]}})
    field = f"{FIELD}.network.egress.toDestinations[0].ip"
    message = "'pod-self' needs the controller of a cluster: a node alone does not know a pod's addresses"
    assert made.no_effect == (NoEffect(field, message),)
    assert made.bpf is not None
    assert made.bpf.allow is not None
    assert made.bpf.allow.egress == ()


@pytest.mark.parametrize(
    ("custom", "field", "words"),
    [
        ({"capabilities": ["net_bindservice"]}, "capabilities[0]", "did you mean 'net_bind_service'?"),
        ({"operations": ["user_ns_create"]}, "operations[0]", "did you mean 'userns_create'?"),
        ({"files": [{"pattern": "x", "permissions": ["read"]}]}, "files[0].pattern", "is relative"),
        (
            {"processes": [{"pattern": "/x", "permissions": ["run"]}]},
            "processes[0].permissions[0]",
            "unknown permission",
        ),
        ({"network": {"sockets": [{"domains": ["ip"]}]}}, "network.sockets[0].domains[0]", "unknown socket domain"),
    ],
)
def test_refused(custom: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _made(**custom)
    assert caught.value.field == f"{FIELD}.{field}"
    assert words in caught.value.problem

# SPDX-License-Identifier: Apache-2.0
"""Behaviour models as allow-lists: a list of its own, or what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import defense
from varmor.errors import PolicyError
from varmor.policy.armor_profile_model import ArmorProfileModel, parse_model
from varmor.profile.bpf_words import WRITE
from varmor.profile.types import Access, AllowList, PtracePermission, SocketProtocol


def _model(**data: Any) -> ArmorProfileModel:
    return parse_model(
        {
            "apiVersion": "crd.varmor.org/v1beta1",
            "kind": "ArmorProfileModel",
            "metadata": {"namespace": "default", "name": "varmor-default-web"},
            "data": data,
        },
        "model",
    )


def _allow(**data: Any) -> AllowList:
    made = defense("BPF", _model(**data), bpf={"profileType": "BehaviorModel"})
    assert made.bpf is not None
    assert made.bpf.allow is not None
    return made.bpf.allow


def _seen(**bpf: Any) -> AllowList:
    return _allow(dynamicResult={"bpf": bpf})


def test_a_list_of_its_own() -> None:
    content = {"name": "varmor-default-web", "enforcer": "BPF", "mode": "enforce"}
    listed = {"files": [{"pattern": "/srv/**", "permissions": ["read"]}], "capabilities": ["chown"]}
    allow = _allow(profile={**content, "bpfAllowList": listed}, dynamicResult={"bpf": {"executions": ["/bin/sh"]}})
    assert [(rule.pattern, rule.access) for rule in allow.paths] == [("/srv/**", Access.READ)]
    assert allow.capabilities == 1


def test_what_was_seen() -> None:
    allow = _seen(
        executions=["/usr/sbin/nginx"],
        files=[
            {"path": "/etc/nginx/**", "permissions": ["read"]},
            {"path": "/run/nginx.pid", "permissions": ["w", "k", "create"]},
            {"path": "/srv/a[1", "permissions": ["read"]},
        ],
        capabilities=["CAP_SETUID"],
        network={
            "sockets": [
                {"domain": "AF_INET", "type": "SOCK_STREAM", "protocol": "tcp"},
                {"domain": "unix", "type": "5", "protocol": "0"},
            ],
            "egresses": [{"ip": "192.0.2.1", "ports": [443]}],
        },
        ptraces=[{"permissions": ["read"], "external": True}, {"permissions": ["trace"], "external": False}],
        mounts=[{"path": "tmpfs", "type": "tmpfs", "flags": ["nosuid"]}],
    )
    assert {rule.pattern: rule.access for rule in allow.paths} == {
        "/usr/sbin/nginx": Access.EXEC,
        "/etc/nginx/**": Access.READ,
        "/run/nginx.pid": WRITE,
        "/srv/a\\[1": Access.READ,
    }
    assert allow.capabilities == 1 << 7
    assert [(rule.domains, rule.types, rule.protocols) for rule in allow.sockets] == [
        (1 << 2, 1 << 1, SocketProtocol.TCP),
        (1 << 1, 0, SocketProtocol(0)),
    ]
    assert [(str(rule.network), rule.ports) for rule in allow.egress] == [("192.0.2.1/32", ((443, 443),))]
    assert [rule.permissions for rule in allow.ptrace] == [PtracePermission.READ]
    assert [(rule.source, rule.fstype, rule.flags) for rule in allow.mounts] == [("tmpfs", "tmpfs", 2)]


def test_a_model_of_other_enforcers_is_refused() -> None:
    with pytest.raises(PolicyError, match="has nothing for BPF: model the workload with BPF among the enforcers"):
        _allow(dynamicResult={"seccomp": {"syscalls": ["read"]}})


def test_a_word_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PolicyError, match="unknown permission 'fly'"):
        _seen(files=[{"path": "/x", "permissions": ["fly"]}])

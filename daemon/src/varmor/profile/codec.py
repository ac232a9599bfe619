# SPDX-License-Identifier: Apache-2.0
"""A profile as JSON and back, so that a node can put the last good revision in force without its manifest.

The shape is :meth:`varmor.profile.types.Profile.content` plus the identity of the policy.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from varmor.errors import VarmorError
from varmor.policy.types import Enforcer, Mode, PolicyKey, PolicyKind, SyscallArg
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    ExecutableRules,
    MountRule,
    PathRule,
    Profile,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
    SyscallRefusal,
    UnitSettings,
)

_ENFORCERS = {name: member for member in Enforcer for name in member.names()}


class CodecError(VarmorError):
    """A stored profile that this version cannot read."""


def encode(profile: Profile) -> str:
    """The profile as one line of JSON."""
    key = profile.policy
    document = {"policy": [key.kind.value, key.namespace, key.name], **profile.content()}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Profile:
    """The profile that :func:`encode` wrote.

    Raises:
        CodecError: the text is not such a profile, for example because another version wrote it.
    """
    try:
        document = json.loads(text)
        kind, namespace, name = document["policy"]
        enforcers = Enforcer(0)
        for enforcer in document["enforcers"]:
            enforcers |= _ENFORCERS[enforcer]
        return Profile(
            name=document["name"],
            policy=PolicyKey(PolicyKind(kind), namespace, name),
            mode=Mode(document["mode"]),
            enforcers=enforcers,
            apparmor=document["apparmor"],
            seccomp=document["seccomp"],
            bpf=None if document["bpf"] is None else _bpf(document["bpf"]),
            unit=UnitSettings(tuple((directive, value) for directive, value in document["unit"])),
            observe=document["observe"],
            refused_syscalls=tuple(_refusal(item) for item in document["refused_syscalls"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CodecError(f"stored profile cannot be read: {type(error).__name__}: {error}") from error


def _bpf(document: dict[str, Any]) -> BpfProfile:
    allow = document.get("allow")
    return BpfProfile(
        **_lists(document),
        capabilities=tuple(CapabilityRule(**rule) for rule in document["capabilities"]),
        switches=tuple(SwitchRule(**rule) for rule in document["switches"]),
        allow=None if allow is None else _allow(allow),
        executables=tuple(
            ExecutableRules(tuple(item["executables"]), _bpf(item["profile"]))
            for item in document.get("executables", ())
        ),
    )


def _lists(document: dict[str, Any]) -> dict[str, Any]:
    """What profiles and allow-lists have in common. Profiles of earlier versions have no sockets and no ptrace."""
    return {
        "paths": tuple(PathRule(**{**rule, "access": Access(rule["access"])}) for rule in document["paths"]),
        "egress": tuple(_egress(rule) for rule in document["egress"]),
        "mounts": tuple(MountRule(**rule) for rule in document["mounts"]),
        "sockets": tuple(
            SocketRule(**{**rule, "protocols": SocketProtocol(rule["protocols"])})
            for rule in document.get("sockets", ())
        ),
        "ptrace": tuple(
            PtraceRule(**{**rule, "permissions": PtracePermission(rule["permissions"])})
            for rule in document.get("ptrace", ())
        ),
    }


def _allow(document: dict[str, Any]) -> AllowList:
    return AllowList(
        deny=document["deny"],
        audit=document["audit"],
        **_lists(document),
        capabilities=document["capabilities"],
        switches=tuple(document["switches"]),
    )


def _refusal(item: dict[str, Any]) -> SyscallRefusal:
    return SyscallRefusal(tuple(item["names"]), tuple(SyscallArg(**arg) for arg in item["args"]), item["origin"])


def _egress(rule: dict[str, Any]) -> EgressRule:
    network = None if rule["network"] is None else ipaddress.ip_network(rule["network"])
    return EgressRule(**{**rule, "network": network, "ports": tuple((low, high) for low, high in rule["ports"])})

# SPDX-License-Identifier: Apache-2.0
"""Parts of a policy as JSON values, in the words of its manifest: the parsers' way back."""

from __future__ import annotations

from typing import Any

from varmor.policy.types import (
    BpfAllowList,
    BpfMountRule,
    BpfPathRule,
    BpfPtraceRule,
    BpfSocketRule,
    Destination,
    LabelSelector,
    Port,
    Target,
)


def target(value: Target) -> dict[str, Any]:
    """``spec.target``."""
    return _given(
        kind=value.kind.value,
        name=value.name,
        image=value.image,
        selector=label_selector(value.selector) if value.selector else None,
        containers=list(value.containers),
    )


def label_selector(value: LabelSelector) -> dict[str, Any]:
    """A label selector."""
    return _given(
        matchLabels=dict(value.match_labels),
        matchExpressions=[
            _given(key=each.key, operator=each.operator.value, values=list(each.values))
            for each in value.match_expressions
        ],
    )


def bpf_allow_list(value: BpfAllowList) -> dict[str, Any]:
    """``defenseInDepth.bpf.customProfile``."""
    return _given(
        files=[_path(rule) for rule in value.files],
        processes=[_path(rule) for rule in value.processes],
        network=_given(
            sockets=[_socket(rule) for rule in value.sockets],
            egress=_given(toDestinations=[_destination(rule) for rule in value.egress]),
        ),
        ptrace=_ptrace(value.ptrace) if value.ptrace else None,
        mounts=[_mount(rule) for rule in value.mounts],
        capabilities=list(value.capabilities),
        operations=list(value.operations),
    )


def _given(**values: Any) -> dict[str, Any]:
    """What says something: neither None nor empty."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _path(rule: BpfPathRule) -> dict[str, Any]:
    return _given(qualifiers=list(rule.qualifiers), pattern=rule.pattern, permissions=list(rule.permissions))


def _socket(rule: BpfSocketRule) -> dict[str, Any]:
    return _given(
        qualifiers=list(rule.qualifiers),
        domains=list(rule.domains),
        types=list(rule.types),
        protocols=list(rule.protocols),
    )


def _destination(rule: Destination) -> dict[str, Any]:
    ports = [_port(port) for port in rule.ports]
    return _given(qualifiers=list(rule.qualifiers), ip=rule.ip, cidr=rule.cidr, ports=ports)


def _port(port: Port) -> dict[str, Any]:
    return _given(port=port.port, endPort=port.end_port)


def _ptrace(rule: BpfPtraceRule) -> dict[str, Any]:
    made = _given(qualifiers=list(rule.qualifiers), permissions=list(rule.permissions))
    return {**made, "strictMode": True} if rule.strict_mode else made


def _mount(rule: BpfMountRule) -> dict[str, Any]:
    return _given(
        qualifiers=list(rule.qualifiers),
        sourcePattern=rule.source_pattern,
        fstype=rule.fstype,
        flags=list(rule.flags),
    )

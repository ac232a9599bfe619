# SPDX-License-Identifier: Apache-2.0
"""``bpfRawRules``, and the allow-list of ``defenseInDepth.bpf.customProfile``, which has the same entries.

Structure, types and numbers are checked here. Words (qualifiers, permissions, socket domains, mount flags), patterns
and addresses are checked when a policy is compiled, where their tables are.
"""

from __future__ import annotations

from collections.abc import Callable

from varmor.policy.cursor import Cursor
from varmor.policy.parse_target import label_selector
from varmor.policy.types import (
    BpfAllowList,
    BpfMountRule,
    BpfPathRule,
    BpfPtraceRule,
    BpfRawRules,
    BpfSocketRule,
    Destination,
    PodDestination,
    Port,
    ServiceDestination,
)

MAX_PATTERN = 4095

Words = tuple[str, ...]
Qualifiers = Callable[[Cursor], Words]


def bpf_rules(cursor: Cursor) -> BpfRawRules:
    """Read ``bpfRawRules``.

    Raises:
        PolicyError: an unknown field, a wrong type, a number out of range, or qualifiers that contradict each other.
    """
    cursor.only(("files", "processes", "network", "ptrace", "mounts"))
    network = cursor.maybe("network")
    egress = _egress(network) if network else None
    ptrace = cursor.maybe("ptrace")
    return BpfRawRules(
        files=cursor.each("files", lambda item: _path_rule(item, _qualifiers)),
        processes=cursor.each("processes", lambda item: _path_rule(item, _qualifiers)),
        egress=egress.each("toDestinations", lambda item: _destination(item, _qualifiers)) if egress else (),
        services=egress.each("toServices", _service) if egress else (),
        pods=egress.each("toPods", _pods) if egress else (),
        sockets=network.each("sockets", lambda item: _socket(item, _qualifiers)) if network else (),
        ptrace=_ptrace(ptrace, _qualifiers) if ptrace else None,
        mounts=cursor.each("mounts", lambda item: _mount(item, _qualifiers)),
    )


def bpf_allow_list(cursor: Cursor) -> BpfAllowList:
    """Read ``defenseInDepth.bpf.customProfile``.

    Raises:
        PolicyError: as for :func:`bpf_rules`, or a qualifier, which says nothing in a list of what is allowed.
    """
    cursor.only(("files", "processes", "network", "ptrace", "mounts", "capabilities", "operations"))
    network = cursor.maybe("network")
    egress = _egress(network, dict.fromkeys(("toServices", "toPods"), _ADDRESSES_ONLY)) if network else None
    ptrace = cursor.maybe("ptrace")
    return BpfAllowList(
        files=cursor.each("files", lambda item: _path_rule(item, _unqualified)),
        processes=cursor.each("processes", lambda item: _path_rule(item, _unqualified)),
        egress=egress.each("toDestinations", lambda item: _destination(item, _unqualified)) if egress else (),
        sockets=network.each("sockets", lambda item: _socket(item, _unqualified)) if network else (),
        ptrace=_ptrace(ptrace, _unqualified) if ptrace else None,
        mounts=cursor.each("mounts", lambda item: _mount(item, _unqualified)),
        capabilities=tuple(word.lower().removeprefix("cap_") for word in cursor.strings("capabilities")),
        operations=tuple(word.lower() for word in cursor.strings("operations")),
    )


_ADDRESSES_ONLY = "an allow-list names addresses: use toDestinations"


def _words(cursor: Cursor, name: str, *, required: bool = False) -> Words:
    return tuple(word.lower() for word in cursor.strings(name, required=required))


def _qualifiers(cursor: Cursor) -> Words:
    words = _words(cursor, "qualifiers", required=True)
    if {"allow", "deny"} <= set(words):
        raise cursor.child("qualifiers").error(
            "deny and allow contradict each other; expected deny, audit, or both (what no rule denies is allowed)"
        )
    return words


def _unqualified(_: Cursor) -> Words:
    return ()


def _only(cursor: Cursor, qualifiers: Qualifiers, *names: str) -> None:
    """Refuse fields that are not ``names`` or the qualifiers, which the entries of an allow-list have not."""
    if qualifiers is _unqualified:
        cursor.only(
            names, {"qualifiers": "an allow-list's entries have no qualifiers, they say what is allowed: remove it"}
        )
    else:
        cursor.only(("qualifiers", *names))


def _path_rule(cursor: Cursor, qualifiers: Qualifiers) -> BpfPathRule:
    _only(cursor, qualifiers, "pattern", "permissions")
    return BpfPathRule(
        qualifiers(cursor),
        cursor.child("pattern").string(limit=MAX_PATTERN),
        _words(cursor, "permissions", required=True),
    )


def _socket(cursor: Cursor, qualifiers: Qualifiers) -> BpfSocketRule:
    _only(cursor, qualifiers, "domains", "types", "protocols")
    rule = BpfSocketRule(qualifiers(cursor), *(_words(cursor, name) for name in ("domains", "types", "protocols")))
    if not (rule.domains or rule.types or rule.protocols):
        raise cursor.error("expected domains, types or protocols, found none of them; domains: [all] means any socket")
    if rule.types and rule.protocols:
        raise cursor.error("expected either types or protocols, found both: make two entries")
    return rule


def _egress(network: Cursor, refused: dict[str, str] | None = None) -> Cursor | None:
    network.only(("sockets", "egress"), {"egresses": "the field is called 'egress'"})
    egress = network.maybe("egress")
    if egress is not None:
        known = ("toDestinations", "toServices", "toPods")
        egress.only(tuple(name for name in known if name not in (refused or {})), refused)
    return egress


def _optional(cursor: Cursor, name: str) -> str:
    child = cursor.maybe(name)
    return child.string() if child else ""


def _destination(cursor: Cursor, qualifiers: Qualifiers) -> Destination:
    _only(cursor, qualifiers, "ip", "cidr", "ports")
    destination = Destination(
        qualifiers(cursor),
        ip=_optional(cursor, "ip"),
        cidr=_optional(cursor, "cidr"),
        ports=cursor.each("ports", _port),
    )
    if destination.ip and destination.cidr:
        raise cursor.error("expected either ip or cidr, found both: make two entries")
    if not (destination.ip or destination.cidr or destination.ports):
        raise cursor.error("expected ip, cidr or ports, found none of them")
    return destination


def _service(cursor: Cursor) -> ServiceDestination:
    cursor.only(("qualifiers", "namespace", "name", "serviceSelector"))
    qualifiers = _qualifiers(cursor)
    name, namespace, selector = (cursor.maybe(field) for field in ("name", "namespace", "serviceSelector"))
    if (name is None) == (selector is None):
        found = "neither" if name is None else "both"
        raise cursor.error(f"a service needs either name or serviceSelector, found {found}")
    if name is not None and namespace is None:
        raise cursor.error("the field 'namespace' is missing; a service's name is unique in its namespace only")
    return ServiceDestination(
        qualifiers,
        namespace=namespace.string(limit=63) if namespace else "",
        name=name.string(limit=63) if name else "",
        selector=label_selector(selector, empty=True) if selector else None,
    )


def _pods(cursor: Cursor) -> PodDestination:
    cursor.only(("qualifiers", "namespace", "podSelector", "ports"))
    namespace = cursor.maybe("namespace")
    return PodDestination(
        _qualifiers(cursor),
        label_selector(cursor.child("podSelector"), empty=True),
        namespace=namespace.string(limit=63) if namespace else "",
        ports=cursor.each("ports", _port),
    )


def _port(cursor: Cursor) -> Port:
    cursor.only(("port", "endPort"))
    port = cursor.child("port").integer(1, 65535)
    end = cursor.maybe("endPort")
    if end is None:
        return Port(port)
    end_port = end.integer(1, 65535)
    if end_port < port:
        raise end.error(f"endPort {end_port} is below port {port}; expected {port} to 65535")
    return Port(port, end_port)


def _ptrace(cursor: Cursor, qualifiers: Qualifiers) -> BpfPtraceRule:
    _only(cursor, qualifiers, "permissions", "strictMode")
    return BpfPtraceRule(
        qualifiers(cursor), _words(cursor, "permissions", required=True), strict_mode=cursor.flag("strictMode")
    )


def _mount(cursor: Cursor, qualifiers: Qualifiers) -> BpfMountRule:
    _only(cursor, qualifiers, "sourcePattern", "fstype", "flags")
    return BpfMountRule(
        qualifiers(cursor),
        cursor.child("sourcePattern").string(limit=MAX_PATTERN),
        cursor.child("fstype").string(limit=MAX_PATTERN),
        cursor.strings("flags", required=True),
    )

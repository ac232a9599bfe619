# SPDX-License-Identifier: Apache-2.0
"""``spec.policy.enhanceProtect``: built-in rules by name, and custom rules of each enforcer."""

from __future__ import annotations

from collections.abc import Callable

from varmor.policy.cursor import Cursor
from varmor.policy.types import (
    AppArmorRawRule,
    BpfPathRule,
    BpfRawRules,
    Destination,
    EnhanceProtect,
    Port,
    RuleGroup,
    SyscallArg,
    SyscallRule,
)

_UINT64 = (1 << 64) - 1


def _not_built(what: str) -> str:
    return f"{what} is not built yet: remove it"


def enhance_protect(cursor: Cursor) -> EnhanceProtect:
    """Read ``spec.policy.enhanceProtect``.

    Raises:
        PolicyError: an unknown field, a wrong type, or a part that is not built yet.
    """
    cursor.only(
        (
            "hardeningRules", "attackProtectionRules", "vulMitigationRules", "appArmorRawRules", "bpfRawRules",
            "syscallRawRules", "privileged", "auditViolations", "allowViolations",
        ),
        {"networkProxyRawRules": _not_built("the enforcer NetworkProxy")},
    )  # fmt: skip
    bpf = cursor.maybe("bpfRawRules")
    return EnhanceProtect(
        hardening_rules=cursor.strings("hardeningRules"),
        attack_protection_rules=cursor.each("attackProtectionRules", _rule_group),
        vul_mitigation_rules=cursor.strings("vulMitigationRules"),
        apparmor_raw_rules=cursor.each("appArmorRawRules", _apparmor_rule),
        bpf_raw_rules=_bpf_rules(bpf) if bpf else BpfRawRules(),
        syscall_raw_rules=cursor.each("syscallRawRules", _syscall_rule),
        privileged=cursor.flag("privileged"),
        audit_violations=cursor.flag("auditViolations"),
        allow_violations=cursor.flag("allowViolations"),
    )


def _executable(cursor: Cursor) -> str:
    path = cursor.string()
    if not path.startswith("/"):
        raise cursor.error(f"{path!r} is not the full path of a program; expected one such as /bin/sh")
    return path


def _rule_group(cursor: Cursor) -> RuleGroup:
    if isinstance(cursor.value.data, str):
        raise cursor.error(f"expected a mapping such as {{rules: [{cursor.value.data[:60]}]}}, found a string")
    cursor.only(("rules", "targets"))
    return RuleGroup(cursor.strings("rules", required=True), cursor.each("targets", _executable))


def _apparmor_rule(cursor: Cursor) -> AppArmorRawRule:
    cursor.only(("rules", "targets"))
    return AppArmorRawRule(cursor.child("rules").string(limit=65536), cursor.each("targets", _executable))


def _words(cursor: Cursor, name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in cursor.strings(name, required=True))


def _bpf_rules(cursor: Cursor) -> BpfRawRules:
    cursor.only(
        ("files", "processes", "network"),
        {name: _not_built(f"bpfRawRules.{name}") for name in ("ptrace", "mounts")},
    )
    network = cursor.maybe("network")
    return BpfRawRules(
        files=cursor.each("files", _path_rule),
        processes=cursor.each("processes", _path_rule),
        egress=_egress(network) if network else (),
    )


def _path_rule(cursor: Cursor) -> BpfPathRule:
    cursor.only(("qualifiers", "pattern", "permissions"))
    return BpfPathRule(
        _words(cursor, "qualifiers"), cursor.child("pattern").string(limit=4095), _words(cursor, "permissions")
    )


def _egress(cursor: Cursor) -> tuple[Destination, ...]:
    cursor.only(
        ("egress",),
        {
            "sockets": _not_built("bpfRawRules.network.sockets"),
            "egresses": "the field is called 'egress'",
        },
    )
    egress = cursor.child("egress")
    egress.only(
        ("toDestinations",),
        {name: _not_built(f"bpfRawRules.network.egress.{name}") for name in ("toServices", "toPods")},
    )
    return egress.each("toDestinations", _destination)


def _optional(cursor: Cursor, name: str, read: Callable[[Cursor], str]) -> str:
    child = cursor.maybe(name)
    return read(child) if child else ""


def _destination(cursor: Cursor) -> Destination:
    cursor.only(("qualifiers", "ip", "cidr", "ports"))
    return Destination(
        _words(cursor, "qualifiers"),
        ip=_optional(cursor, "ip", Cursor.string),
        cidr=_optional(cursor, "cidr", Cursor.string),
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


def _syscall_rule(cursor: Cursor) -> SyscallRule:
    cursor.only(("names", "action", "errnoRet", "args"))
    errno = cursor.maybe("errnoRet")
    return SyscallRule(
        names=cursor.strings("names", required=True),
        action=cursor.child("action").string(),
        errno_ret=errno.integer(0, 4095) if errno else None,
        args=cursor.each("args", _syscall_arg),
    )


def _syscall_arg(cursor: Cursor) -> SyscallArg:
    cursor.only(("index", "value", "valueTwo", "op"))
    value_two = cursor.maybe("valueTwo")
    return SyscallArg(
        index=cursor.child("index").integer(0, 5),
        value=cursor.child("value").integer(0, _UINT64),
        op=cursor.child("op").string(),
        value_two=value_two.integer(0, _UINT64) if value_two else 0,
    )

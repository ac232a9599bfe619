# SPDX-License-Identifier: Apache-2.0
"""``spec.policy.defenseInDepth``: one profile for each enforcer, from a behaviour model or the person's own."""

from __future__ import annotations

from varmor.policy.cursor import Cursor
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.parse_bpf_rules import bpf_allow_list, bpf_rules
from varmor.policy.parse_raw_rules import apparmor_rule, syscall_rule
from varmor.policy.types import (
    AppArmorDefense,
    BpfAllowList,
    BpfDefense,
    BpfRawRules,
    DefenseInDepth,
    Enforcer,
    ProfileType,
    SeccompDefense,
)

MAX_CUSTOM_PROFILE = 262_144

_PARTS = {"appArmor": Enforcer.APPARMOR, "seccomp": Enforcer.SECCOMP, "bpf": Enforcer.BPF}


def defense_in_depth(cursor: Cursor) -> DefenseInDepth:
    """Read ``spec.policy.defenseInDepth``. The texts of profiles are checked when the policy is compiled.

    Raises:
        PolicyError: an unknown field, a wrong type, a profile that is missing, or a part that is not built yet.
    """
    cursor.only((*_PARTS, "allowViolations"), {"networkProxy": NOT_BUILT})
    apparmor, seccomp, bpf = (cursor.maybe(name) for name in _PARTS)
    return DefenseInDepth(
        apparmor=_apparmor(apparmor) if apparmor else None,
        seccomp=_seccomp(seccomp) if seccomp else None,
        bpf=_bpf(bpf) if bpf else None,
        allow_violations=cursor.flag("allowViolations"),
    )


def require_parts(cursor: Cursor, enforcers: Enforcer) -> None:
    """Check that ``defenseInDepth`` has a part for each of these enforcers.

    Raises:
        PolicyError: one is missing.
    """
    for name, enforcer in _PARTS.items():
        if enforcer in enforcers and cursor.maybe(name) is None:
            raise cursor.error(
                f"the field {name!r} is missing: the policy's enforcer {enforcer.names()[0]} has no profile; "
                f"add it, or take {enforcer.names()[0]} out of spec.policy.enforcer"
            )


def _profile_type(cursor: Cursor) -> ProfileType:
    """The type of profile; ``Custom`` must have one."""
    found = cursor.child("profileType").word(ProfileType)
    if found is ProfileType.CUSTOM and cursor.maybe("customProfile") is None:
        raise cursor.error("the field 'customProfile' is missing; profileType Custom takes the profile from there")
    return found


def _text(cursor: Cursor) -> str:
    custom = cursor.maybe("customProfile")
    return custom.string(limit=MAX_CUSTOM_PROFILE) if custom else ""


def _apparmor(cursor: Cursor) -> AppArmorDefense:
    cursor.only(("profileType", "customProfile", "appArmorRawRules"))
    return AppArmorDefense(_profile_type(cursor), _text(cursor), cursor.each("appArmorRawRules", apparmor_rule))


def _seccomp(cursor: Cursor) -> SeccompDefense:
    cursor.only(("profileType", "customProfile", "syscallRawRules"))
    return SeccompDefense(_profile_type(cursor), _text(cursor), cursor.each("syscallRawRules", syscall_rule))


def _bpf(cursor: Cursor) -> BpfDefense:
    cursor.only(("profileType", "customProfile", "bpfRawRules"))
    custom, raw = cursor.maybe("customProfile"), cursor.maybe("bpfRawRules")
    return BpfDefense(
        _profile_type(cursor),
        bpf_allow_list(custom) if custom else BpfAllowList(),
        bpf_rules(raw) if raw else BpfRawRules(),
    )

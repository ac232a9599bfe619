# SPDX-License-Identifier: Apache-2.0
"""Profiles for tests of the node."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from varmor.policy.types import Enforcer, Mode, PolicyKey, PolicyKind
from varmor.profile.types import (
    Access,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    MountRule,
    PathRule,
    Profile,
    SwitchRule,
    UnitSettings,
)

KEY = PolicyKey(PolicyKind.VARMOR_POLICY, "default", "web")
ALL = Enforcer.APPARMOR | Enforcer.BPF | Enforcer.SECCOMP

BPF = BpfProfile(
    paths=(PathRule("/etc/**", Access.WRITE | Access.APPEND, deny=True, audit=True, origin="disable-write-etc"),),
    egress=(EgressRule(ip_network("169.254.169.254/32"), ((80, 80),), deny=True, audit=False, origin="metadata"),),
    mounts=(MountRule("**", "*", 0xFFFF, 0xFFFF, deny=True, audit=True, origin="disallow-mount"),),
    capabilities=(CapabilityRule(1 << 13, deny=True, audit=True, origin="disable-cap-net-raw"),),
    switches=(SwitchRule("userns_create", deny=True, audit=True, origin="disallow-create-user-ns"),),
)


def profile(text: str = "profile varmor-default-web {}\n", enforcers: Enforcer = ALL, **changes: Any) -> Profile:
    """A profile that differs by its AppArmor text."""
    values: dict[str, Any] = {
        "name": "varmor-default-web",
        "policy": KEY,
        "mode": Mode.ENHANCE_PROTECT,
        "enforcers": enforcers,
        "apparmor": text if Enforcer.APPARMOR in enforcers else None,
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"} if Enforcer.SECCOMP in enforcers else None,
        "bpf": BPF if Enforcer.BPF in enforcers else None,
        "unit": UnitSettings((("AppArmorProfile", "varmor-default-web"),)),
    }
    return Profile(**{**values, **changes})

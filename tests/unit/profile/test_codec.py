# SPDX-License-Identifier: Apache-2.0
"""Stored profiles come back as they were."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node.profiles import profile
from varmor.policy.types import Enforcer, SyscallArg
from varmor.profile import codec
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    ExecutableRules,
    MountRule,
    PathRule,
    PtracePermission,
    PtraceRule,
    SocketProtocol,
    SocketRule,
    SwitchRule,
    SyscallRefusal,
)


@pytest.mark.parametrize("enforcers", [Enforcer.APPARMOR, Enforcer.BPF, Enforcer.APPARMOR | Enforcer.SECCOMP])
def test_round_trip_keeps_everything(enforcers: Enforcer) -> None:
    original = profile(enforcers=enforcers, observe=True)
    back = codec.decode(codec.encode(original))
    assert back == original
    assert back.digest == original.digest


def test_round_trip_keeps_refusals() -> None:
    refusal = SyscallRefusal(
        ("clone", "unshare"), (SyscallArg(0, 1, "SCMP_CMP_MASKED_EQ", 1),), "disallow-create-user-ns"
    )
    original = profile(refused_syscalls=(refusal,))
    assert codec.decode(codec.encode(original)) == original
    assert original.digest != profile().digest


@pytest.mark.parametrize("spoil", ["not json", "{}", json.dumps({"policy": ["VarmorPolicy", "a"]})])
def test_unreadable_text_is_one_error(spoil: str) -> None:
    with pytest.raises(codec.CodecError, match="stored profile cannot be read"):
        codec.decode(spoil)


def test_unknown_enforcer_is_refused() -> None:
    document = json.loads(codec.encode(profile()))
    document["enforcers"] = ["Magic"]
    with pytest.raises(codec.CodecError, match="Magic"):
        codec.decode(json.dumps(document))


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_REACTIONS: dict[str, Any] = {"deny": st.booleans(), "audit": st.booleans(), "origin": _TEXTS}
_UINT32 = st.integers(0, (1 << 32) - 1)
_UINT64 = st.integers(0, (1 << 64) - 1)
_NETWORKS = st.none() | st.integers(0, 32).map(lambda length: ip_network((10 << 24, length), strict=False))
_PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535))


def _tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


_LISTS: dict[str, Any] = {
    "paths": _tuples(st.builds(PathRule, _TEXTS, st.integers(0, 31).map(Access), **_REACTIONS)),
    "egress": _tuples(st.builds(EgressRule, _NETWORKS, _tuples(_PORTS), **_REACTIONS)),
    "mounts": _tuples(st.builds(MountRule, _TEXTS, _TEXTS, _UINT32, _UINT32, target=_TEXTS, **_REACTIONS)),
    "sockets": _tuples(st.builds(SocketRule, _UINT64, _UINT32, st.integers(0, 31).map(SocketProtocol), **_REACTIONS)),
    "ptrace": _tuples(st.builds(PtraceRule, st.integers(0, 15).map(PtracePermission), st.booleans(), **_REACTIONS)),
}
_PLAIN: dict[str, Any] = {
    **_LISTS,
    "capabilities": _tuples(st.builds(CapabilityRule, _UINT64, **_REACTIONS)),
    "switches": _tuples(st.builds(SwitchRule, _TEXTS, **_REACTIONS)),
    "allow": st.none()
    | st.builds(AllowList, st.booleans(), st.booleans(), capabilities=_UINT64, switches=_tuples(_TEXTS), **_LISTS),
}
_CHILDREN = _tuples(st.builds(ExecutableRules, _tuples(_TEXTS), st.builds(BpfProfile, **_PLAIN)))


@given(st.builds(BpfProfile, executables=_CHILDREN, **_PLAIN))
def test_any_bpf_profile_comes_back(bpf: BpfProfile) -> None:
    original = profile(bpf=bpf)
    back = codec.decode(codec.encode(original))
    assert back == original
    assert back.digest == original.digest


def test_profiles_of_an_earlier_version_are_read() -> None:
    document = json.loads(codec.encode(profile()))
    for name in ("sockets", "ptrace", "allow", "executables"):
        del document["bpf"][name]
    for rule in document["bpf"]["mounts"]:
        del rule["target"]
    assert codec.decode(json.dumps(document)) == profile()

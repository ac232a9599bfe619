# SPDX-License-Identifier: Apache-2.0
"""Stored profiles come back as they were."""

from __future__ import annotations

import json

import pytest

from tests.unit.node.profiles import profile
from varmor.policy.types import Enforcer, SyscallArg
from varmor.profile import codec
from varmor.profile.types import SyscallRefusal


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

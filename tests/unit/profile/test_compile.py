# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.manifests import profile
from varmor.catalog.loader import load
from varmor.policy.parse import parse_policies
from varmor.policy.types import Enforcer
from varmor.profile import codec, tables
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts

EXAMPLES = [
    path
    for path in sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
    if "crd.varmor.org" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples(path: Path) -> None:
    policies = parse_policies(path.read_text(encoding="utf-8"), path.name)
    assert policies
    for policy in policies:
        made = compile_policy(policy, load(), NodeFacts())
        assert (made.apparmor is not None, made.bpf is not None) == (
            Enforcer.APPARMOR in policy.enforcers,
            Enforcer.BPF in policy.enforcers,
        )
        if made.bpf is not None:
            tables.encode(made.bpf)
        assert codec.decode(codec.encode(made)).digest == made.digest


def test_only_what_is_asked_for() -> None:
    made = profile(enforcer="BPF")
    assert (made.apparmor, made.seccomp) == (None, None)
    assert made.bpf is not None
    assert made.enforcers == Enforcer.BPF


def test_the_digest_follows_the_content() -> None:
    one = profile(hardeningRules=["disallow-mount"])
    same = profile(hardeningRules=["DISALLOW_MOUNT"])
    other = profile(hardeningRules=["disable-cap-net-raw"])
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_observe_flag() -> None:
    assert profile(allowViolations=True, auditViolations=True).observe
    assert not profile(auditViolations=True).observe


RAW: dict[str, Any] = {
    "appArmorRawRules": [{"rules": "deny /x w,"}],
    "bpfRawRules": {"files": [{"qualifiers": ["deny"], "pattern": "/x", "permissions": ["w"]}]},
    "syscallRawRules": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}],
}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"mode": "RuntimeDefault", "enforcer": "BPF", "privileged": True}, "", "is read in mode EnhanceProtect only"),
        ({"enforcer": "BPF", **RAW}, ".appArmorRawRules", "AppArmor is not among the policy's enforcers"),
        ({"enforcer": "BPF", **RAW}, ".syscallRawRules", "Seccomp is not among the policy's enforcers"),
        ({"enforcer": "AppArmor", **RAW}, ".bpfRawRules", "BPF is not among the policy's enforcers"),
        ({**RAW, "allowViolations": True}, ".bpfRawRules", "they still deny"),
        (
            {"enforcer": "BPF", "hardeningRules": ["disallow-mount"], "allowViolations": True},
            ".allowViolations",
            "neither refuse nor record",
        ),
    ],
)
def test_what_does_nothing_is_said(values: dict[str, Any], field: str, words: str) -> None:
    made = profile(**values)
    messages = [note.message for note in made.no_effect if note.field == f"spec.policy.enhanceProtect{field}"]
    assert any(words in message for message in messages)


def test_a_full_policy_has_nothing_to_note() -> None:
    assert profile(hardeningRules=["disallow-mount"], **RAW).no_effect == ()


def test_seccomp_alone_in_runtime_default_of_all_enforcers() -> None:
    made = profile(mode="RuntimeDefault")
    assert made.apparmor is not None
    assert made.bpf is not None
    assert made.seccomp is None

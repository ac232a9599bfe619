# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import profile
from varmor.profile.seccomp import refusal_of
from varmor.profile.types import NodeFacts, Profile

UNIT = {"kind": "Unit", "name": "nginx.service"}
RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disallow-create-user-ns"],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
}


def _profile(facts: NodeFacts | None = None, **values: Any) -> Profile:
    return profile(facts, target=UNIT, **values)


def _messages(made: Profile) -> str:
    return "\n".join(note.message for note in made.no_effect)


def test_refuse() -> None:
    made = _profile(**RULES)
    assert made.seccomp is None
    assert made.unit.directives == (
        ("AppArmorProfile", "varmor-default-web"),
        ("SystemCallArchitectures", "native"),
        ("RestrictNamespaces", "~user"),
        (
            "SystemCallFilter",
            "~fsconfig:EPERM fsmount:EPERM fsopen:EPERM fspick:EPERM mount:EPERM mount_setattr:EPERM "
            "move_mount:EPERM open_tree:EPERM pivot_root:EPERM splice:EPERM",
        ),
    )
    assert made.no_effect == ()


@pytest.mark.parametrize("seen", [True, False])
def test_refusals_that_nobody_records_are_said(seen: bool) -> None:
    made = _profile(NodeFacts(records_seccomp=seen), **RULES, auditViolations=True)
    assert ("what seccomp refuses to a unit is not recorded" in _messages(made)) is not seen


NEWUSER, NEWNS = 0x10000000, 0x00020000


@pytest.mark.parametrize(
    ("name", "arguments", "rule"),
    [
        ("mount", (), "disallow-mount"),
        ("splice", (), "dirty-pipe-mitigation"),
        ("unshare", (NEWUSER,), "disallow-create-user-ns"),
        ("unshare", (NEWNS,), ""),
        ("clone", (NEWUSER | 17,), "disallow-create-user-ns"),
        ("setns", (3, NEWUSER), "disallow-create-user-ns"),
        ("setns", (3, 0), "disallow-create-user-ns"),
        ("setns", (3, NEWNS), ""),
        ("clone3", (), ""),
        ("read", (), ""),
    ],
)
def test_refusals_that_are_recorded(name: str, arguments: tuple[int, ...], rule: str) -> None:
    refused = _profile(**RULES, auditViolations=True).refused_syscalls
    found = refusal_of(refused, name, (*arguments, 0, 0, 0, 0, 0, 0)[:6])
    assert (found.origin if found else "") == rule


def test_without_audit_no_refusal_is_recorded() -> None:
    assert _profile(**RULES).refused_syscalls == ()
    other = _profile(enforcer="AppArmorBPF", hardeningRules=["disallow-mount"], auditViolations=True)
    assert other.refused_syscalls == ()


def test_what_systemd_cannot_refuse_is_not_said_to_be_refused() -> None:
    made = _profile(
        enforcer="Seccomp",
        auditViolations=True,
        syscallRawRules=[
            {"names": ["chmod"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["keyctl"], "action": "SCMP_ACT_LOG"},
            {"names": ["ptrace"], "action": "SCMP_ACT_TRAP"},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        ],
    )
    assert [(item.names, item.origin) for item in made.refused_syscalls] == [(("chmod",), "syscallRawRules[0]")]


def test_observe() -> None:
    made = _profile(**RULES, auditViolations=True, allowViolations=True)
    assert [directive for directive, _ in made.unit.directives] == ["AppArmorProfile", "SystemCallLog"]
    assert "systemd cannot observe disallow-create-user-ns (RestrictNamespaces)" in _messages(made)
    assert made.refused_syscalls == ()


def test_raw_rules() -> None:
    made = _profile(
        enforcer="Seccomp",
        syscallRawRules=[
            {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            {"names": ["bpf"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["keyctl"], "action": "SCMP_ACT_LOG"},
            {"names": ["ptrace"], "action": "SCMP_ACT_TRAP"},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        ],
    )
    assert made.unit.directives == (
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", "~chmod:EACCES"),
        ("SystemCallFilter", "~bpf:kill"),
        ("SystemCallLog", "keyctl"),
    )
    messages = _messages(made)
    assert "systemd cannot compare arguments: socket stay allowed in this unit" in messages
    assert "systemd cannot say SCMP_ACT_TRAP" in messages


def test_nothing_for_seccomp_to_do() -> None:
    made = _profile(mode="RuntimeDefault")
    assert made.unit.directives == (("AppArmorProfile", "varmor-default-web"),)
    assert "the unit's own settings stay in place" in _messages(made)


def test_a_container_has_no_directives() -> None:
    assert profile(**RULES).unit.directives == ()

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from tests.unit.manifests import profile
from varmor.profile.types import Profile

UNIT = {"kind": "Unit", "name": "nginx.service"}
RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "disallow-create-user-ns"],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
}


def _profile(**values: Any) -> Profile:
    return profile(target=UNIT, **values)


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
            "move_mount:EPERM open_tree:EPERM splice:EPERM",
        ),
    )
    assert made.no_effect == ()


def test_audit_is_not_possible_and_said_so() -> None:
    assert "what seccomp refuses to a unit is not recorded" in _messages(_profile(**RULES, auditViolations=True))


def test_observe() -> None:
    made = _profile(**RULES, auditViolations=True, allowViolations=True)
    assert [directive for directive, _ in made.unit.directives] == ["AppArmorProfile", "SystemCallLog"]
    assert "systemd cannot observe disallow-create-user-ns (RestrictNamespaces)" in _messages(made)


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

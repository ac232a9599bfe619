# SPDX-License-Identifier: Apache-2.0
"""A profile as people read it."""

from __future__ import annotations

from tests.unit.manifests import defense, profile
from varmor.profile.text import text_lines
from varmor.profile.types import BpfProfile, Profile


def _bpf(made: Profile) -> list[str]:
    return list(text_lines(made, "bpf"))[3:]


def test_each_kind_of_rule() -> None:
    made = profile(
        enforcer="BPF",
        privileged=True,
        hardeningRules=["disable-cap-net-raw"],
        bpfRawRules={
            "files": [{"qualifiers": ["deny"], "pattern": "/x", "permissions": ["read", "write"]}],
            "network": {
                "sockets": [
                    {"qualifiers": ["deny"], "domains": ["inet", "inet6"], "protocols": ["icmp"]},
                    {"qualifiers": ["audit"], "domains": ["all"]},
                ],
                "egress": {
                    "toDestinations": [
                        {"qualifiers": ["deny"], "cidr": "10.0.0.0/8", "ports": [{"port": 1, "endPort": 9}]}
                    ]
                },
            },
            "ptrace": {"qualifiers": ["deny", "audit"], "permissions": ["trace", "readby"], "strictMode": True},
            "mounts": [
                {"qualifiers": ["deny"], "sourcePattern": "/proc", "fstype": "none", "flags": ["bind", "rw"]},
                {"qualifiers": ["audit"], "sourcePattern": "**", "fstype": "*", "flags": ["all"]},
            ],
        },
    )
    assert _bpf(made) == [
        "deny read,write,append /x  # bpfRawRules.files[0]",
        "deny connect 10.0.0.0/8 port 1-9  # bpfRawRules.network.egress.toDestinations[0]",
        "deny socket domain=inet,inet6 protocol=icmp  # bpfRawRules.network.sockets[0]",
        "audit socket any  # bpfRawRules.network.sockets[1]",
        "audit deny ptrace trace,readby everywhere  # bpfRawRules.ptrace",
        "deny mount /proc fstype=none flags=bind,rw  # bpfRawRules.mounts[0]",
        "audit mount ** fstype=* flags=all  # bpfRawRules.mounts[1]",
        "deny capability net_raw  # disable-cap-net-raw",
    ]


def test_without_rules() -> None:
    assert _bpf(profile(enforcer="BPF", mode="AlwaysAllow")) == ["(no rules)"]


def test_the_runtime_default() -> None:
    lines = _bpf(profile(enforcer="BPF", mode="RuntimeDefault"))
    assert "deny mount ** fstype=*  # runtime-default" in lines
    assert "deny ptrace trace,read across the border of the workload  # runtime-default" in lines


def test_an_allow_list() -> None:
    custom = {
        "files": [{"pattern": "/x", "permissions": ["read"]}],
        "capabilities": ["chown"],
        "operations": ["bpf"],
    }
    part = {"profileType": "Custom", "customProfile": custom}
    assert _bpf(defense("BPF", bpf=part)) == [
        "# only this is allowed, all else is refused and recorded:",
        "allow read /x  # defenseInDepth.bpf.customProfile.files[0]",
        "allow capability chown",
        "allow bpf",
    ]


def test_programs_with_rules_of_their_own() -> None:
    groups = [{"rules": ["disable-write-etc"], "targets": ["/opt/job"]}]
    made = profile(enforcer="BPF", privileged=True, attackProtectionRules=groups)
    assert made.bpf is not None
    assert BpfProfile() == BpfProfile(made.bpf.paths)
    lines = _bpf(made)
    assert lines[:2] == ["(no rules)", ""]
    assert lines[2] == "## BPF, from the execution of /opt/job on, in addition"
    assert any("/etc" in line and line.endswith("# disable-write-etc") for line in lines[3:])

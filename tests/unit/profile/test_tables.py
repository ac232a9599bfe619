# SPDX-License-Identifier: Apache-2.0
"""Rules of a profile as tables."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from varmor.profile.glob import GlobError
from varmor.profile.tables import (
    MAP_PROGRAM,
    MAX_MOUNT_RULES,
    MountEntry,
    ProfileTooComplexError,
    Tables,
    encode,
    origin_of,
)
from varmor.profile.types import (
    Access,
    BpfProfile,
    CapabilityRule,
    EgressRule,
    MountRule,
    PathRule,
    SwitchRule,
)

WRITE = Access.WRITE | Access.APPEND


def _path(pattern: str, access: Access, *, deny: bool = True, audit: bool = False, origin: str = "test") -> PathRule:
    return PathRule(pattern, access, deny, audit, origin)


def _accept(tables: Tables, path: str) -> int:
    accept = 0
    for automaton in tables.automata:
        accept |= automaton.value(path.encode())
    return accept


def test_accept_word_holds_denials_records_and_denials_below() -> None:
    tables = encode(
        BpfProfile(
            paths=(
                _path("/etc/**", WRITE, audit=True),
                _path("/etc/shadow", Access.READ),
                _path("/**/id", Access.EXEC, deny=False, audit=True),
            )
        )
    )
    assert _accept(tables, "/etc/shadow") & 0xFFFF == int(WRITE | Access.READ) | int(WRITE) << 8
    run = int(Access.EXEC) | MAP_PROGRAM
    assert _accept(tables, "/etc/id") & 0xFFFF == int(WRITE) | (int(WRITE) | run) << 8
    assert _accept(tables, "/etc") == int(WRITE | Access.READ) << 16
    assert _accept(tables, "/usr") == 0
    assert (tables.paths_deny, tables.paths_audit) == (int(WRITE | Access.READ), int(WRITE) | run)
    assert len(tables.automata) == 2


def test_rules_that_do_nothing_need_no_automaton() -> None:
    tables = encode(BpfProfile(paths=(_path("/a", Access.READ, deny=False), _path("/b", Access(0)))))
    assert tables.automata == ()
    assert (tables.paths_deny, tables.paths_audit) == (0, 0)


def test_exploding_rules_are_split() -> None:
    rules = tuple(_path(f"/**/d{number}/**/s{number}.x", Access.READ) for number in range(12))
    tables = encode(BpfProfile(paths=rules))
    assert 1 < len(tables.automata) <= 8
    for number in range(12):
        assert _accept(tables, f"/x/d{number}/y/s{number}.x") & 1
        assert not _accept(tables, f"/x/d{number}/y/s{number + 1}.x") & 1


def test_too_many_automata_are_refused_with_words() -> None:
    rules = tuple(_path(f"/**/d{number}/**/e{number}/**/s{number}", Access.READ) for number in range(120))
    with pytest.raises(ProfileTooComplexError, match=r"120 path rules need \d+ automata, the kernel side runs 8"):
        encode(BpfProfile(paths=rules))


def test_one_rule_that_explodes_is_named() -> None:
    rule = _path("/**a" + "?" * 20, Access.READ, origin="bpfRawRules.files[0]")
    with pytest.raises(ProfileTooComplexError, match=r"bpfRawRules.files\[0\].*alone needs more than"):
        encode(BpfProfile(paths=(rule,)))


def test_malformed_pattern() -> None:
    with pytest.raises(GlobError):
        encode(BpfProfile(paths=(_path("/{a", Access.READ),)))


def test_masks() -> None:
    tables = encode(
        BpfProfile(
            capabilities=(CapabilityRule(0b11, True, True, "a"), CapabilityRule(0b100, False, True, "b")),
            switches=(SwitchRule("userns_create", True, False, "c"),),
        )
    )
    assert (tables.capabilities_deny, tables.capabilities_audit) == (0b11, 0b111)
    assert (tables.switches_deny, tables.switches_audit) == (1, 0)


def test_unknown_operation() -> None:
    with pytest.raises(ProfileTooComplexError, match=r"no operation 'fly'; it has: .*, userns_create"):
        encode(BpfProfile(switches=(SwitchRule("fly", True, False, "c"),)))


def test_mount_sources_accept_with_a_mask_of_rules() -> None:
    rules = (
        MountRule("**", "*", 0xFFFFFFFF, 0, True, True, "all"),
        MountRule("/never", "*", 1, 0, False, False, "inert"),
        MountRule("/proc**", "none", 4096, 0, True, False, "proc"),
    )
    tables = encode(BpfProfile(mounts=rules))
    assert tables.mounts == (
        MountEntry(0xFFFFFFFF, 0, "*", deny=True, audit=True),
        MountEntry(4096, 0, "none", deny=True, audit=False),
    )
    assert tables.mount_source is not None
    assert tables.mount_source.value(b"/proc/1") == 0b11
    assert tables.mount_source.value(b"") == 0b01
    assert tables.mount_target is not None
    assert tables.mount_target.value(b"/mnt") == 0b11
    assert tables.all_automata == (tables.mount_source, tables.mount_target)


@pytest.mark.parametrize("fstype", ["", "x" * 16, "a\0b"])
def test_bad_file_system_type(fstype: str) -> None:
    with pytest.raises(ProfileTooComplexError, match="expected 1 to 15 bytes"):
        encode(BpfProfile(mounts=(MountRule("**", fstype, 1, 0, True, True, "m"),)))


def test_too_many_mount_rules() -> None:
    rules = tuple(MountRule(f"/{n}", "*", 1, 0, True, True, "m") for n in range(MAX_MOUNT_RULES + 1))
    with pytest.raises(ProfileTooComplexError, match="has 33 mount rules, the kernel side takes 32"):
        encode(BpfProfile(mounts=rules))


def test_too_many_port_ranges() -> None:
    ports = tuple((port, port) for port in range(1, 20000, 2))
    rule = EgressRule(ip_network("10.0.0.0/8"), ports, True, True, "e")
    with pytest.raises(ProfileTooComplexError, match=r"10000 separate port ranges for 10\.0\.0\.0/8"):
        encode(BpfProfile(egress=(rule,)))


def test_empty_profile() -> None:
    assert encode(BpfProfile()) == Tables()


def test_origin_of() -> None:
    profile = BpfProfile(
        paths=(
            _path("/etc/**", WRITE, origin="disable-write-etc"),
            _path("/etc/shadow", Access.READ, origin="raw"),
            _path("/tmp/**", Access.READ, deny=False, audit=True, origin="watch"),
        )
    )
    assert origin_of(profile, "/etc/shadow", Access.READ) == "raw"
    assert origin_of(profile, "/etc/shadow", Access.APPEND) == "disable-write-etc"
    assert origin_of(profile, "/tmp/x", Access.READ, denied=False) == "watch"
    assert origin_of(profile, "/tmp/x", Access.READ) == ""

# SPDX-License-Identifier: Apache-2.0
"""Allow-lists and programs with rules of their own, as tables: against a plain evaluation of the rules."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varmor.profile import table_automata
from varmor.profile.glob import regex
from varmor.profile.tables import (
    ALLOW_LIST,
    MAP_PROGRAM,
    MAX_SOCKET_RULES,
    SWITCHES,
    Default,
    MountEntry,
    ProfileTooComplexError,
    SocketEntry,
    Tables,
    encode,
    executable_number,
    origin_of,
)
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
)

ALL = Access.READ | Access.WRITE | Access.APPEND | Access.EXEC | Access.MAP
BOTH = Default.DENY | Default.AUDIT


def _path(pattern: str, access: Access, *, deny: bool = False, audit: bool = False) -> PathRule:
    return PathRule(pattern, access, deny, audit, f"rule on {pattern}")


def _accept(tables: Tables, path: str) -> int:
    accept = 0
    for automaton in tables.automata:
        accept |= automaton.value(path.encode())
    return accept


def _judge(tables: Tables, path: str, access: int) -> tuple[int, int]:
    """judge_path() of daemon/bpf/judge.h: what is denied, and what is recorded."""
    accept = _accept(tables, path)
    missing = ~(accept >> 24) & 0xFF
    deny = (accept & 0xFF | tables.paths_default_deny & missing) & access
    audit = (accept >> 8 & 0xFF | tables.paths_default_audit & missing) & (deny or access)
    return deny, audit


_ACCESS = st.integers(1, 31).map(Access)
_PATTERNS = st.sampled_from(
    ("/**", "/etc/**", "/etc/*", "/etc/shadow", "/usr/bin/{a,b}", "/usr/**/lib", "/**/.ssh/**", "/e[st]c/?", "/", "**")
)
_PATHS = (
    "/",
    "/etc",
    "/etc/",
    "/etc/shadow",
    "/etc/a/b",
    "/esc/x",
    "/usr/bin/a",
    "/usr/x/lib",
    "/h/.ssh/k",
    "/memfd:x",
)
_RULES = st.lists(st.builds(_path, _PATTERNS, _ACCESS, deny=st.booleans(), audit=st.booleans()), max_size=5)
_ALLOWED = st.lists(st.builds(_path, _PATTERNS, _ACCESS), max_size=5)


@settings(max_examples=200, deadline=None)
@given(rules=_RULES, allowed=_ALLOWED, deny=st.booleans(), audit=st.booleans(), access=_ACCESS)
def test_tables_decide_as_the_rules_do(
    rules: list[PathRule], allowed: list[PathRule], deny: bool, audit: bool, access: Access
) -> None:
    allow = AllowList(deny=deny, audit=audit, paths=tuple(allowed))
    tables = encode(BpfProfile(paths=tuple(rules), allow=allow))
    for path in _PATHS:
        denied = recorded = passing = Access(0)
        for rule in rules:
            if regex(rule.pattern).fullmatch(path.encode()):
                denied |= rule.access if rule.deny else Access(0)
                recorded |= rule.access if rule.audit else Access(0)
        for rule in allowed:
            if regex(rule.pattern).fullmatch(path.encode()):
                passing |= rule.access | (Access.MAP if rule.access & Access.EXEC else Access(0))
        if deny:
            denied |= ALL & ~passing
        if audit:
            recorded |= ALL & ~passing
        expected = int(denied & access)
        assert _judge(tables, path, int(access)) == (expected, int(recorded & (expected or access)))
        # an access that no rule speaks about never comes so far
        assert not expected & ~tables.paths_deny
        assert not int(recorded & access) & ~tables.paths_audit


@settings(max_examples=100, deadline=None)
@given(rules=_RULES, allowed=_ALLOWED, access=_ACCESS)
def test_what_is_refused_has_an_origin(rules: list[PathRule], allowed: list[PathRule], access: Access) -> None:
    profile = BpfProfile(paths=tuple(rules), allow=AllowList(deny=True, audit=True, paths=tuple(allowed)))
    tables = encode(profile)
    for path in _PATHS:
        denied = Access(_judge(tables, path, int(access))[0])
        assert bool(origin_of(profile, path, denied)) is bool(denied)


def test_no_allow_list_changes_nothing() -> None:
    tables = encode(BpfProfile(paths=(_path("/a", Access.READ, deny=True),)))
    assert (tables.paths_default_deny, tables.paths_default_audit) == (0, 0)
    assert (tables.mounts_default, tables.sockets_default) == (Default(0), Default(0))
    assert encode(BpfProfile(allow=AllowList(deny=False, audit=False, paths=(_path("/a", ALL),)))) == Tables()


def test_execution_is_mapping_of_programs() -> None:
    tables = encode(BpfProfile(paths=(_path("/bin/*", Access.EXEC, deny=True, audit=True),)))
    assert _accept(tables, "/bin/a") & 0xFF == Access.EXEC | MAP_PROGRAM
    assert tables.paths_deny == tables.paths_audit == Access.EXEC | MAP_PROGRAM


def test_what_an_allow_list_leaves_out() -> None:
    allow = AllowList(
        deny=True,
        audit=False,
        capabilities=0b101,
        switches=("userns_create", "keyring"),
        ptrace=(PtraceRule(PtracePermission.READ, everywhere=False, deny=False, audit=False, origin="l"),),
    )
    everything = sum(SWITCHES.values())
    profile = BpfProfile(
        allow=allow,
        capabilities=(CapabilityRule(1, deny=False, audit=True, origin="c"),),
        switches=(SwitchRule("keyring", deny=True, audit=True, origin="s"),),
        ptrace=(PtraceRule(PtracePermission.TRACE, everywhere=True, deny=True, audit=True, origin="p"),),
    )
    tables = encode(profile)
    assert tables.capabilities_deny == ((1 << 64) - 1) & ~0b101
    assert tables.capabilities_audit == 1
    assert tables.switches_deny == everything & ~SWITCHES["userns_create"]
    assert tables.switches_audit == SWITCHES["keyring"]
    assert tables.ptrace_deny == 15 & ~PtracePermission.READ
    assert tables.ptrace_deny_all == PtracePermission.TRACE  # within the workload only rules refuse
    assert (tables.ptrace_audit, tables.ptrace_audit_all) == (PtracePermission.TRACE, PtracePermission.TRACE)


def test_mounts_and_sockets_of_an_allow_list() -> None:
    allow = AllowList(
        deny=True,
        audit=True,
        mounts=(MountRule("/src", "none", 4096, 0, deny=False, audit=False, origin="l", target="/dst"),),
        sockets=(SocketRule(1 << 2, 1 << 1, SocketProtocol.TCP, deny=False, audit=False, origin="l"),),
    )
    tables = encode(
        BpfProfile(
            allow=allow,
            mounts=(MountRule("**", "proc", 1, 2, deny=True, audit=False, origin="m"),),
            sockets=(SocketRule(0, 1 << 3, SocketProtocol(0), deny=True, audit=True, origin="s"),),
        )
    )
    assert tables.mounts == (
        MountEntry(1, 2, "proc", deny=True, audit=False),
        MountEntry(4096, 0, "none", deny=False, audit=False, allow=True),
    )
    assert tables.mount_source is not None
    assert tables.mount_target is not None
    assert [tables.mount_source.value(text) for text in (b"/src", b"/x")] == [0b11, 0b01]
    assert [tables.mount_target.value(text) for text in (b"/dst", b"/x")] == [0b11, 0b01]
    assert tables.sockets == (
        SocketEntry(0, 8, 0, deny=True, audit=True),
        SocketEntry(4, 2, 2, deny=False, audit=False, allow=True),
    )
    assert (tables.mounts_default, tables.sockets_default) == (BOTH, BOTH)


def test_too_many_socket_rules() -> None:
    rules = tuple(SocketRule(1 << n, 0, SocketProtocol(0), True, True, "s") for n in range(MAX_SOCKET_RULES + 1))
    with pytest.raises(ProfileTooComplexError, match="has 33 socket rules, the kernel side takes 32"):
        encode(BpfProfile(sockets=rules))
    assert len(encode(BpfProfile(sockets=rules[:1] * 50)).sockets) == 1


def test_egress_of_an_allow_list_is_folded() -> None:
    allow = AllowList(deny=True, audit=False, egress=(EgressRule(ip_network("10.0.0.0/8"), (), False, False, "l"),))
    entries = encode(BpfProfile(allow=allow)).networks
    assert [str(entry.network) for entry in entries] == ["0.0.0.0/0", "10.0.0.0/8", "::/0"]
    assert [len(entry.ranges) for entry in entries] == [1, 0, 1]


def _target(*paths: str, rules: tuple[PathRule, ...] = ()) -> ExecutableRules:
    return ExecutableRules(paths, BpfProfile(paths=rules))


def test_executables_have_stable_numbers() -> None:
    secret = _path("/secret", Access.READ, deny=True)
    tables = encode(BpfProfile(executables=(_target("/bin/a", "/opt/x*{1}", rules=(secret,)), _target("/bin/b"))))
    assert tables.executables is not None
    for path in ("/bin/a", "/bin/b", "/opt/x*{1}"):
        assert tables.executables.value(path.encode()) == executable_number(path) != 0
    for path in ("/bin/", "/bin/ab", "/opt/xy1", "/opt/x1", "bin/a"):
        assert tables.executables.value(path.encode()) == 0
    (first, rules), (second, none) = tables.children
    assert first == (executable_number("/bin/a"), executable_number("/opt/x*{1}"))
    assert second == (executable_number("/bin/b"),)
    assert _accept(rules, "/secret") & 0xFF == Access.READ
    assert none == Tables()
    assert tables.all_automata == (tables.executables,)


@pytest.mark.parametrize(
    ("executables", "words"),
    [
        ((_target("/bin/a"), _target("/bin/a")), "'/bin/a' has two sets of rules"),
        ((_target("bin/a"),), "'bin/a': expected an absolute path"),
        ((_target("/bin/../a"),), r"'/bin/\.\./a': expected an absolute path without"),
        (
            (ExecutableRules(("/bin/a",), BpfProfile(executables=(_target("/bin/b"),))),),
            "rules of /bin/a hold rules for executables again",
        ),
    ],
)
def test_executables_that_cannot_be_said(executables: tuple[ExecutableRules, ...], words: str) -> None:
    with pytest.raises(ProfileTooComplexError, match=words):
        encode(BpfProfile(executables=executables))


def test_executables_with_the_same_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_automata, "executable_number", lambda _path: 7)
    with pytest.raises(ProfileTooComplexError, match="'/bin/a' and '/bin/b' have the same number"):
        encode(BpfProfile(executables=(_target("/bin/a", "/bin/b"),)))


def test_origin_in_allow_lists_and_children() -> None:
    inner = BpfProfile(paths=(_path("/inner", Access.EXEC, deny=True),))
    allow = AllowList(deny=True, audit=False, paths=(_path("/bin/*", Access.EXEC), _path("/etc/*", Access.READ)))
    profile = BpfProfile(
        paths=(_path("/etc/shadow", Access.READ, deny=True),),
        allow=allow,
        executables=(ExecutableRules(("/bin/a",), inner),),
    )
    assert origin_of(profile, "/etc/shadow", Access.READ) == "rule on /etc/shadow"
    assert origin_of(profile, "/etc/passwd", Access.READ) == ""
    assert origin_of(profile, "/etc/passwd", Access.WRITE) == ALLOW_LIST
    assert origin_of(profile, "/bin/x", Access.MAP) == ""
    assert origin_of(profile, "/var", Access.READ, denied=False) == ""
    without_list = BpfProfile(executables=profile.executables)
    assert origin_of(without_list, "/inner", Access.MAP) == "rule on /inner"

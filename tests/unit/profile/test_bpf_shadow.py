# SPDX-License-Identifier: Apache-2.0
"""Custom rules that contradict others or add nothing are told, and only those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import profile
from varmor.profile.glob import regex
from varmor.profile.types import Access, PathRule


def _file(pattern: str, *permissions: str, qualifiers: str = "deny") -> dict[str, Any]:
    return {"qualifiers": qualifiers.split(), "pattern": pattern, "permissions": list(permissions or ("read",))}


def _to(qualifiers: str = "deny", **values: Any) -> dict[str, Any]:
    return {"qualifiers": qualifiers.split(), **values}


def _mount(*flags: str, source: str = "**", fstype: str = "*", qualifiers: str = "deny") -> dict[str, Any]:
    return {"qualifiers": qualifiers.split(), "sourcePattern": source, "fstype": fstype, "flags": list(flags)}


def _notes(*, privileged: bool = True, **rules: Any) -> list[str]:
    made = profile(enforcer="BPF", privileged=privileged, bpfRawRules=rules)
    place = "spec.policy.enhanceProtect.bpfRawRules."
    return [f"{note.field.removeprefix(place)}: {note.message.split(':')[0]}" for note in made.no_effect]


CONTRADICTED = "is to let pass and record what bpfRawRules.{} refuses"
COVERED = "adds nothing"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            [_file("/x"), _file("/x", qualifiers="audit")],
            ["files[1]: " + CONTRADICTED.format("files[0]")],
        ),
        (
            [_file("/x", qualifiers="audit"), _file("/x", "all")],
            ["files[0]: " + CONTRADICTED.format("files[1]")],
        ),
        ([_file("/x/y"), _file("/x/**")], [f"files[0]: {COVERED}"]),
        ([_file("/x", "read", "write"), _file("/x")], [f"files[1]: {COVERED}"]),
        ([_file("/x", qualifiers="deny audit"), _file("/x")], [f"files[1]: {COVERED}"]),
        ([_file("/x\\*y"), _file("/x*")], [f"files[0]: {COVERED}"]),
        # what follows is right as it is
        ([_file("/x"), _file("/x", "write", qualifiers="audit")], []),
        ([_file("/x/**"), _file("/x/y", qualifiers="deny audit")], []),
        ([_file("/x/**", qualifiers="audit"), _file("/x/y")], []),
        ([_file("/x"), _file("/y")], []),
        ([_file("/x/*"), _file("/x/**")], []),
    ],
)
def test_paths(files: list[dict[str, Any]], expected: list[str]) -> None:
    assert _notes(files=files) == expected


def test_a_process_rule_within_a_file_rule() -> None:
    assert _notes(files=[_file("/x", "all")], processes=[_file("/x", "exec")]) == [f"processes[0]: {COVERED}"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([_to(cidr="10.0.0.0/8"), _to(ip="10.1.1.1")], [f"[1]: {COVERED}"]),
        ([_to(ports=[{"port": 22}]), _to(cidr="10.0.0.0/8", ports=[{"port": 22}])], [f"[1]: {COVERED}"]),
        (
            [_to(ip="10.1.1.1"), _to("audit", cidr="10.1.1.1/32", ports=[{"port": 1, "endPort": 9}])],
            ["[1]: " + CONTRADICTED.format("network.egress.toDestinations[0]")],
        ),
        ([_to(cidr="10.0.0.0/8", ports=[{"port": 80}]), _to(ip="10.1.1.1")], []),
        ([_to(cidr="10.0.0.0/8"), _to(ip="localhost")], []),
        ([_to(cidr="127.0.0.0/8"), _to(ip="localhost")], []),
        ([_to(cidr="127.0.0.0/8"), _to(cidr="::1/128"), _to(ip="localhost")], [f"[2]: {COVERED}"]),
        ([_to(cidr="fd00::/8"), _to(ip="fd00::1")], [f"[1]: {COVERED}"]),
    ],
)
def test_destinations(entries: list[dict[str, Any]], expected: list[str]) -> None:
    found = _notes(network={"egress": {"toDestinations": entries}})
    assert [note.removeprefix("network.egress.toDestinations") for note in found] == expected


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([_mount("all"), _mount("bind", source="/proc/**")], [f"mounts[1]: {COVERED}"]),
        ([_mount("bind"), _mount("umount")], []),
        ([_mount("ro", fstype="proc"), _mount("ro", fstype="sysfs")], []),
        ([_mount("bind"), _mount("bind", qualifiers="audit")], ["mounts[1]: " + CONTRADICTED.format("mounts[0]")]),
    ],
)
def test_mounts(mounts: list[dict[str, Any]], expected: list[str]) -> None:
    assert _notes(mounts=mounts) == expected


def test_the_runtime_default_refuses_every_mount_but_no_umount() -> None:
    (note,) = _notes(privileged=False, mounts=[_mount("bind"), _mount("umount")])
    assert note == f"mounts[0]: {COVERED}"
    assert _notes(privileged=False, mounts=[_mount("bind", qualifiers="deny audit")]) == []


@pytest.mark.parametrize(
    ("sockets", "expected"),
    [
        ([_to(domains=["inet", "inet6"]), _to(domains=["inet"], protocols=["tcp"])], [f"[1]: {COVERED}"]),
        ([_to(domains=["all"]), _to(types=["raw"])], [f"[1]: {COVERED}"]),
        ([_to(types=["raw"]), _to(domains=["all"])], [f"[0]: {COVERED}"]),
        ([_to(domains=["inet"]), _to(domains=["inet", "unix"])], [f"[0]: {COVERED}"]),
        ([_to(domains=["inet"], types=["raw"]), _to(domains=["inet"], protocols=["icmp"])], []),
    ],
)
def test_sockets(sockets: list[dict[str, Any]], expected: list[str]) -> None:
    assert [note.removeprefix("network.sockets") for note in _notes(network={"sockets": sockets})] == expected


def test_ptrace_within_the_runtime_default() -> None:
    rule = {"qualifiers": ["deny"], "permissions": ["read"]}
    assert _notes(privileged=False, ptrace=rule) == [f"ptrace: {COVERED}"]
    assert _notes(privileged=False, ptrace={**rule, "strictMode": True}) == []
    assert _notes(privileged=True, ptrace=rule) == []


_PATTERNS = st.sampled_from(
    ["/a", "/a/b", "/a/*", "/a/**", "/a/b/**", "/**", "/a/[bc]", "/{a,x}/b", "**/b", "b*", "/a\\*"]
)
_WORDS = st.lists(st.sampled_from(["read", "write", "append", "exec"]), min_size=1, max_size=2, unique=True)
_QUALIFIERS = st.sampled_from(["deny", "audit", "deny audit"])
_SAMPLES = [b"/a", b"/a/b", b"/a/c", b"/a/b/c", b"/x/b", b"/b", b"/x", b"/a*", b"/bb"]


def _verdicts(rules: Sequence[PathRule]) -> dict[tuple[bytes, Access], tuple[bool, bool]]:
    """For each sample and access: refused, and recorded."""
    return {
        (path, access): (
            any(rule.deny for rule in rules if _speaks(rule, path, access)),
            any(rule.audit for rule in rules if _speaks(rule, path, access)),
        )
        for path in _SAMPLES
        for access in Access
    }


def _speaks(rule: PathRule, path: bytes, access: Access) -> bool:
    return bool(rule.access & access) and regex(rule.pattern).fullmatch(path) is not None


@given(st.lists(st.builds(lambda *parts: (*parts,), _PATTERNS, _WORDS, _QUALIFIERS), min_size=2, max_size=5))
def test_what_is_said_to_add_nothing_adds_nothing(entries: list[tuple[str, list[str], str]]) -> None:
    files = [_file(pattern, *words, qualifiers=qualifiers) for pattern, words, qualifiers in entries]
    made = profile(enforcer="BPF", privileged=True, bpfRawRules={"files": files})
    assert made.bpf is not None
    covered = {
        note.field.removeprefix("spec.policy.enhanceProtect.")
        for note in made.no_effect
        if note.message.startswith(COVERED)
    }
    kept = [rule for rule in made.bpf.paths if rule.origin not in covered]
    assert _verdicts(kept) == _verdicts(made.bpf.paths)

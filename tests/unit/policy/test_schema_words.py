# SPDX-License-Identifier: Apache-2.0
"""The schema admits the words that the compiler knows, and no others."""

from __future__ import annotations

import re

import pytest

from varmor.catalog import capabilities
from varmor.policy import schema_words as words
from varmor.profile import bpf_words, tables


@pytest.mark.parametrize(
    ("admitted", "known"),
    [
        (words.PERMISSIONS, bpf_words.PERMISSIONS),
        (words.PTRACE, bpf_words.PTRACE),
        (words.TYPES, {*bpf_words.TYPES, *bpf_words.ANY_WORDS}),
        (words.PROTOCOLS, {*bpf_words.PROTOCOLS, *bpf_words.ANY_WORDS}),
        (words.DOMAINS, {*bpf_words.DOMAINS, *bpf_words.ANY_WORDS}),
        (words.MOUNT_FLAGS, bpf_words.MOUNT_FLAGS),
        (words.CAPABILITIES, capabilities.NAMES),
        (words.OPERATIONS, tables.SWITCHES),
    ],
    ids=["permissions", "ptrace", "types", "protocols", "domains", "mount flags", "capabilities", "operations"],
)
def test_the_same_words(admitted: tuple[str, ...], known: object) -> None:
    assert sorted(admitted) == sorted(known)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("found", "matches"),
    [
        ("read", True),
        ("READ", True),
        ("*", True),
        ("B", True),
        ("b", False),
        ("reads", False),
        ("x-read", False),
        ("", False),
        ("read\n", False),
    ],
)
def test_pattern(found: str, matches: bool) -> None:
    assert (re.fullmatch(words.pattern(("read", "*", "B")), found) is not None) == matches


def test_prefix() -> None:
    made = words.pattern(("chown", "kill"), prefix="cap_")
    assert [name for name in ("chown", "CAP_KILL", "cap_", "cap_cap_kill", "mknod") if re.fullmatch(made, name)] == [
        "chown",
        "CAP_KILL",
    ]

# SPDX-License-Identifier: Apache-2.0
"""Globs as pieces and as regular expressions."""

from __future__ import annotations

import pytest

from varmor.profile.glob import ANY, NO_SLASH, GlobError, Piece, alternatives, is_anchored, pieces, regex


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/a", ["/a"]),
        ("/{a,b}", ["/a", "/b"]),
        ("/{a,}", ["/a", "/"]),
        ("/{a,b{c,d}}e", ["/ae", "/bce", "/bde"]),
        ("{/a,/b}/{c,d}", ["/a/c", "/a/d", "/b/c", "/b/d"]),
        (r"/\{a,b\}", [r"/\{a,b\}"]),
        ("/[{,}]x", ["/[{,}]x"]),
        (r"/{a\,b,c}", [r"/a\,b", "/c"]),
    ],
)
def test_alternatives(pattern: str, expected: list[str]) -> None:
    assert alternatives(pattern) == expected


def test_pieces() -> None:
    assert pieces("/*?") == [
        Piece(frozenset(b"/")),
        Piece(NO_SLASH, repeats=True),
        Piece(NO_SLASH),
    ]
    assert pieces("***") == [Piece(ANY, repeats=True)]
    assert pieces(r"\*") == [Piece(frozenset(b"*"))]
    assert pieces("[a-c/x]") == [Piece(frozenset(b"abcx"))]
    assert pieces("[^a]") == [Piece(NO_SLASH - frozenset(b"a"))]
    assert pieces("[a-]") == [Piece(frozenset(b"a-"))]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("/{a", r"'\{' without '\}'"),
        ("/a}", r"'\}' without '\{'"),
        ("/[a", r"'\[' without '\]'"),
        ("/a\\", "lone backslash"),
        ("/[^]", "empty or not ASCII"),
        ("/[é]", "not ASCII"),
        ("/[z-a]", "backward range z-a"),
        ("/" + "{a,b}" * 13, "more than 4096 alternatives"),
    ],
)
def test_malformed(pattern: str, problem: str) -> None:
    with pytest.raises(GlobError, match=problem):
        [pieces(option) for option in alternatives(pattern)]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/etc/**", "/etc/a/b", True),
        ("/etc/**", "/etc/", True),
        ("/etc/**", "/etc", False),
        ("/etc{,/**}", "/etc", True),
        ("/etc/*", "/etc/a/b", False),
        ("/**/sh", "/bin/sh", True),
        ("/**/sh", "/sh", False),
        ("/{,**/}sh", "/sh", True),
        ("/a?c", "/abc", True),
        ("/a?c", "/a/c", False),
        ("/é*", "/éa", True),
        ("/[a-c]", "/b", True),
        ("/[^a-c]", "/b", False),
        ("/a\n**", "/a\nb\n", True),
    ],
)
def test_regex(pattern: str, path: str, matches: bool) -> None:
    assert bool(regex(pattern).fullmatch(path.encode())) is matches


@pytest.mark.parametrize(
    ("pattern", "anchored"),
    [
        ("/etc/**", True),
        ("/**", False),
        ("/**/x", False),
        ("**", False),
        ("/*", True),
        ("/?**", True),
        ("/{etc,**}/x", False),
        ("/etc", True),
    ],
)
def test_anchored(pattern: str, anchored: bool) -> None:
    assert is_anchored(pattern) is anchored


def test_two_stars_that_only_meet_through_braces_do_not_cross_a_slash() -> None:
    assert regex("/{a*,b}*").fullmatch(b"/axy")
    assert not regex("/{a*,b}*").fullmatch(b"/ax/y")
    assert not regex("/*{*,b}").fullmatch(b"/ax/y")

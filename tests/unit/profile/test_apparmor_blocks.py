# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmor.profile.apparmor_blocks import structure
from varmor.profile.apparmor_raw import RawTextError


def _headers(text: str) -> list[tuple[int, str]]:
    return [(block.depth, " ".join(word.text for word in block.header)) for block in structure(text).blocks]


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", []),
        ("profile x { }", [(0, "profile x")]),
        ("profile x {capability,}", [(0, "profile x")]),
        ("profile x { /a r,}", [(0, "profile x")]),
        ("profile x flags=(complain){\n/a r,\n}", [(0, "profile x flags=(complain)")]),
        ('profile "a b" /x{a,b} { }', [(0, 'profile "a b" /x{a,b}')]),
        ("profile x (a, b) { }", [(0, "profile x (a, b)")]),
        ("@{X}=/a {b\nprofile x { @{X}/c r, }", [(0, "profile x")]),
        ("#include <a>\ninclude if exists <b>\nabi <abi/3.0>,\nalias /a -> /b,\n/usr/bin/x { }", [(0, "/usr/bin/x")]),
        (
            "x { ^hat { /b r, } hat h { } /a{b,c} r, profile sub /y { /[{]z r, } }",
            [(0, "x"), (1, "^hat"), (1, "hat h"), (1, "profile sub /y")],
        ),
        ("x { # not { a block\n /a#b{c,} r, #}\n }", [(0, "x")]),
        ("x { /a\\{b r, '/[^a}]*' r, \"/a } b\" r, }", [(0, "x")]),
        ("x { mount options=(a, b) /a -> /b{c,d}, signal peer={a,b}, }", [(0, "x")]),
        ("x { if $y { /a r, } else { /b r, } }", [(0, "x"), (1, "if $y"), (1, "else")]),
        ("x { } y { }", [(0, "x"), (0, "y")]),
    ],
)
def test_blocks(text: str, headers: list[tuple[int, str]]) -> None:
    found = structure(text)
    assert _headers(text) == headers
    assert all(text[block.opened] == "{" and text[block.closed] == "}" for block in found.blocks)


def test_denials_that_are_not_recorded() -> None:
    text = "x { deny /a r, audit deny /b r, deny owner /c r, /deny r, allow /d r, ^h { deny network, } }"
    assert [word.begin for word in structure(text).denials] == [4, 32, 75]


def test_the_declaration_of_the_abi() -> None:
    assert structure("abi <abi/3.0>,\nx { }").abi
    assert not structure("# abi <abi/3.0>,\nx { abi r, }").abi


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("x {\n /a r,\n", 1, 3, "not closed by"),
        ("x {\n}\n}", 3, 1, "'}' without '{'"),
        ("\n{ }", 2, 1, "no profile's name"),
        ('x {\n "/a r,\n}', 2, 2, "quote is not closed"),
    ],
)
def test_faults(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(RawTextError, match=problem) as caught:
        structure(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@given(st.text(alphabet='profile x{}[]()",\\#\n /a@^', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = structure(text)
    except RawTextError:
        return
    assert all(block.opened < block.closed for block in found.blocks)

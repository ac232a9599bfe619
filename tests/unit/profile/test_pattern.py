# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmor.profile.pattern import PatternError, canonical


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("/etc/**", "/etc/**"),
        ("*.sh", "/{,**/}*.sh"),
        ("busybox*", "/{,**/}busybox*"),
        ("*", "/{,**/}*"),
        ("**", "/**"),
        ("**.key", "/**.key"),
        ("**/id_rsa", "/{,**/}id_rsa"),
        ("/a/{b,c/{d,e}}[f-h]?\\*", "/a/{b,c/{d,e}}[f-h]?\\*"),
        ("/", "/"),
        ("/a,b", "/a,b"),
    ],
)
def test_meaning(written: str, meant: str) -> None:
    assert canonical(written) == meant
    assert canonical(meant) == meant


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("etc/passwd", "is relative and can never match"),
        ("etc/*", "is relative and can never match"),
        ("sh", "is relative and can never match"),
        ("/etc/", "ends with '/' and can never match; write '/etc'"),
        ("/a//b", "has the component '' and can never match"),
        ("/a/../b", "has the component '..'"),
        ("/a/./b", "has the component '.'"),
        ("/a{b", "has a '{' without '}'"),
        ("/a}b", "has a '}' without '{'"),
        ("/a[b", "has a '[' without ']'"),
        ("/a[]", "empty character class"),
        ("/a[^]", "empty character class"),
        ("/a[z-a]", "backward range z-a"),
        ("/a[/b]", "a class never matches it"),
        ("/a[ä]", "beyond ASCII"),
        ("/a[\\]]", "backslash inside"),
        ("/a\\", "lone backslash"),
        ("/" + "{" * 9 + "}" * 9, "nests braces deeper"),
        ("/" + "{a,b}" * 11, "expands to more than 1024"),
        ("/" + "a" * 4095, "has 4096 bytes"),
        ("/a\0", "NUL"),
        ("/\ud800", "not valid Unicode"),
    ],
)
def test_refused(written: str, words: str) -> None:
    with pytest.raises(PatternError) as caught:
        canonical(written)
    assert words in str(caught.value)


@given(st.text("/a*?[]{},^-\\.", max_size=20))
def test_no_surprises(written: str) -> None:
    try:
        made = canonical(written)
    except PatternError:
        return
    assert made.startswith("/")
    assert canonical(made) == made

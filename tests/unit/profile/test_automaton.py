# SPDX-License-Identifier: Apache-2.0
"""The automaton against regular expressions, on paths made from the globs themselves, and near misses."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varmor.profile.automaton import DEAD, START, Automaton, TooManyStatesError, build
from varmor.profile.glob import GlobError, regex

WORDS = ("a", "b", "ab", "etc", ".ssh", "x-1")
_word = st.sampled_from(WORDS)
_part = st.one_of(
    _word,
    st.sampled_from(("*", "**", "?", "[ab]", "[^a]*", "*.c", "a*b", "{a,b}", "{a,b/c}", "{,x}y", r"\*", "**a", "a**b")),
)
_glob = st.lists(_part, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
_path = st.lists(st.one_of(_word, st.text("ab/.*x", max_size=4)), max_size=5).map(lambda parts: "/" + "/".join(parts))


def _expected(globs: list[tuple[str, int]], path: bytes) -> int:
    value = 0
    for pattern, bits in globs:
        if regex(pattern).fullmatch(path):
            value |= bits
    return value


@settings(max_examples=300, deadline=None)
@given(patterns=st.lists(_glob, min_size=1, max_size=6), paths=st.lists(_path, min_size=1, max_size=12))
def test_agrees_with_regular_expressions(patterns: list[str], paths: list[str]) -> None:
    globs = [(pattern, 1 << number) for number, pattern in enumerate(patterns)]
    automaton = build(globs, 50_000)
    for path in paths:
        assert automaton.value(path.encode()) == _expected(globs, path.encode())


def _instances(pattern: str, rng: random.Random) -> list[bytes]:
    """Paths that nearly or really match a pattern."""
    text = pattern
    for sign, fillings in (("**", ("", "x", "a/b/c", ".ssh")), ("*", ("", "1", "self")), ("?", ("q", "/"))):
        while sign in text:
            text = text.replace(sign, rng.choice(fillings), 1)
    near = (text, text + "x", text[:-1], text + "/y", "x" + text, text.replace("/", "", 1))
    return [item.encode() for item in near]


def _realistic(count: int, rng: random.Random) -> list[str]:
    tops = ("/etc", "/usr/lib", "/var/run/secrets", "/proc/*", "/home/*", "/opt", "/srv")
    tails = ("/passwd", "/**", "/*.conf", "/**/key.pem", "/?at", "/cache-*/**", "/[a-f]*")
    unanchored = ("/**/.ssh/**", "/**/sh", "/**/*.pem", "/**/core")
    out = [rng.choice(unanchored) for _ in range(count // 10)]
    while len(out) < count:
        out.append(f"{rng.choice(tops)}/d{rng.randrange(40)}{rng.choice(tails)}")
    return out


@pytest.mark.parametrize("count", [1, 10, 150])
def test_realistic_rules_near_misses(count: int) -> None:
    rng = random.Random(count)  # noqa: S311
    for anchored in (True, False):
        patterns = [item for item in _realistic(count, rng) if item.startswith("/**") is not anchored]
        globs = [(pattern, 1 << (number % 16)) for number, pattern in enumerate(patterns)]
        automaton = build(globs, 100_000)
        for pattern in patterns[:60]:
            for path in _instances(pattern, rng):
                assert automaton.value(path) == _expected(globs, path), (pattern, path)


def test_is_minimal() -> None:
    """States after different beginnings are one state where the same can follow."""
    automaton = build([("/a/x/**", 1), ("/b/x/**", 1)], 1000)
    assert automaton.run(b"/a/x/") == automaton.run(b"/b/x/")
    assert automaton.run(b"/a") == automaton.run(b"/b")
    different = build([("/a/x", 1), ("/b/x", 2)], 1000)
    assert different.run(b"/a") != different.run(b"/b")


@settings(max_examples=60, deadline=None)
@given(patterns=st.lists(_glob, min_size=1, max_size=4))
def test_no_two_states_are_alike(patterns: list[str]) -> None:
    automaton = build([(pattern, 1 << number) for number, pattern in enumerate(patterns)], 50_000)
    different = {
        (one, two)
        for one, two in product(range(automaton.states), repeat=2)
        if automaton.accepts[one] != automaton.accepts[two]
    }
    grown = True
    while grown:
        grown = False
        for one, two in product(range(automaton.states), repeat=2):
            if one != two and (one, two) not in different:
                followers = zip(_row(automaton, one), _row(automaton, two), strict=True)
                if any(pair in different for pair in followers):
                    different.add((one, two))
                    grown = True
    alike = [(one, two) for one, two in product(range(1, automaton.states), repeat=2) if one < two]
    assert all(pair in different for pair in alike)


def _row(automaton: Automaton, state: int) -> list[int]:
    return list(automaton.rows[state * automaton.width : (state + 1) * automaton.width])


def test_below_is_what_can_follow() -> None:
    automaton = build([("/a/b", 1), ("/a/b/c/d", 2), ("/x/**", 4)], 1000)
    below = automaton.below(0xFF)
    assert below[automaton.run(b"/a")] == 3
    assert below[automaton.run(b"/a/b")] == 3
    assert below[automaton.run(b"/a/b/c")] == 2
    assert below[automaton.run(b"/x/y")] == 4
    assert below[START] == 7
    assert below[DEAD] == 0
    assert automaton.below(2)[START] == 2


def test_nothing_matches() -> None:
    automaton = build([], 10)
    assert automaton.value(b"/anything") == 0
    assert automaton.run(b"/anything") == DEAD


def test_too_many_states() -> None:
    with pytest.raises(TooManyStatesError, match="more than 20 states"):
        build([("/**a??????", 1)], 20)


def test_malformed_glob_is_refused() -> None:
    with pytest.raises(GlobError):
        build([("/[", 1)], 100)


def test_row_never_leaves_the_table() -> None:
    automaton = build([("/etc/**", 1)], 100)
    assert len(automaton.columns) == 256
    assert max(automaton.columns) < automaton.width
    assert all(state < automaton.states for state in automaton.rows)
    assert list(automaton.rows[: automaton.width]) == [0] * automaton.width


def test_subtrees_that_are_met_do_not_multiply() -> None:
    globs = [(f"/{{,**/}}{name}/**", 1) for name in ("one", "two", "three", "four", "five", "six", "seven", "eight")]
    automaton = build(globs, 200)
    assert automaton.value(b"/a/one/two/b") == 1
    assert automaton.value(b"/a/one") == 0


def test_a_subtree_keeps_its_value_beside_others() -> None:
    automaton = build([("/**/a/**", 1), ("/**/b/**", 3), ("/**/c/**", 4), ("/**.so", 8)], 100)
    assert automaton.value(b"/x/b/a/y") == 3
    assert automaton.value(b"/x/a/b/y.so") == 11
    assert automaton.value(b"/x/a/c/y") == 5


def test_endings_are_shared() -> None:
    names = ",".join(f"name{number}" for number in range(30))
    automaton = build([(f"/{{,**/}}{{{names}}}{{,-[0-9]*}}", 1)], 500)
    assert automaton.value(b"/a/name7-12.x") == 1
    assert automaton.value(b"/a/name7-x") == 0

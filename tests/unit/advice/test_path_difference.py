# SPDX-License-Identifier: Apache-2.0
"""Path rules are compared by what they say of paths."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from varmor.advice.path_difference import compare_paths
from varmor.advice.path_rules import PathRules, PathVerdictRule, Verdict

WRITE = frozenset({"write"})


def rules(*patterns: str, audit: bool = False) -> PathRules:
    """Denials of writing."""
    return PathRules(tuple(PathVerdictRule(pattern, WRITE, deny=True, audit=audit) for pattern in patterns))


def test_another_spelling_of_the_same_rules_is_no_change() -> None:
    assert compare_paths(rules("/etc/{a,b}"), rules("/etc/a", "/etc/b")) == []


def test_a_rule_that_another_covers_already_is_no_change() -> None:
    assert compare_paths(rules("/etc/**"), rules("/etc/**", "/etc/passwd", "/etc/ssh/*")) == []


def test_what_becomes_denied_is_named_with_an_example() -> None:
    (change,) = compare_paths(rules("/etc/passwd"), rules("/etc/passwd*"))
    assert (change.pattern, change.access) == ("/etc/passwd*", "write")
    assert change.example == "/etc/passwda"
    assert (change.before, change.after) == (Verdict(), Verdict(denied=True))


def test_a_removed_rule_is_named_where_no_other_takes_its_place() -> None:
    (change,) = compare_paths(rules("/etc/**", "/**/secret"), rules("/etc/**"))
    assert change.pattern == "/**/secret"
    assert not change.example.startswith("/etc/")
    assert (change.before.denied, change.after.denied) == (True, False)


def test_recording_alone_is_a_change() -> None:
    (change,) = compare_paths(rules("/a"), rules("/a", audit=True))
    assert (change.before, change.after) == (Verdict(denied=True), Verdict(denied=True, recorded=True))


def test_a_default_of_denial_reaches_what_no_rule_allows() -> None:
    allow = PathVerdictRule("/data/**", frozenset({"read"}), allow=True)
    changes = compare_paths(PathRules(), PathRules((allow,), default_denied=frozenset({"read"})))
    assert [change.pattern for change in changes] == ["/**"]
    assert not changes[0].example.startswith("/data/")


_SEGMENT = st.sampled_from(["a", "b", "ab", "*", "**", "?", "{a,b}", "[ab]"])
_PATTERN = st.lists(_SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_RULE = st.builds(
    PathVerdictRule,
    _PATTERN,
    st.sets(st.sampled_from(["read", "write"]), min_size=1).map(frozenset),
    deny=st.booleans(),
    audit=st.booleans(),
    allow=st.booleans(),
)
_DEFAULT = st.sets(st.sampled_from(["read", "write"])).map(frozenset)
_RULES = st.builds(PathRules, st.lists(_RULE, max_size=4).map(tuple), _DEFAULT, _DEFAULT, st.booleans())
_PATHS = ["/" + "/".join(parts) for parts in (("a",), ("b",), ("ab",), ("c",), ("a", "b"), ("b", "c"), ("a", "a", "b"))]


@settings(deadline=None, max_examples=150)
@given(_RULES, _RULES)
def test_the_comparison_agrees_with_judging_single_paths(old: PathRules, new: PathRules) -> None:
    changes = compare_paths(old, new)
    for change in changes:
        assert old.judge_path(change.example, change.access)[0] == change.before
        assert new.judge_path(change.example, change.access)[0] == change.after
    seen = {(change.access, change.before, change.after) for change in changes}
    for path in _PATHS:
        for access in ("read", "write"):
            before, after = old.judge_path(path, access)[0], new.judge_path(path, access)[0]
            assert before == after or (access, before, after) in seen

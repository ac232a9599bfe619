# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from varmor.catalog.types import AppArmorForm, Rule, RuleList
from varmor.profile.executables import RawText, group_by_executable, spellings
from varmor.profile.selection import Selected


def rule(name: str, *targets: str) -> Selected:
    form = AppArmorForm((f"/{name} r",))
    return Selected(
        Rule(name, RuleList.ATTACK_PROTECTION, summary="", attack="", breaks="", apparmor=form), "spec.x", targets
    )


def test_nothing_for_targets() -> None:
    assert group_by_executable([rule("a")], [RawText("spec.r", "deny /a r,")]) == ()


def test_rules_of_one_program_come_together_and_equal_programs_too() -> None:
    a, b, b2 = rule("a", "/opt/x", "/opt/y"), rule("b", "/opt/x"), rule("b", "/opt/y", "/opt/z")
    text = RawText("spec.r", "deny /a r,", ("/opt/z",))
    groups = group_by_executable([a, b, b2], [text])
    assert [(group.executables, [item.rule.name for item in group.selected]) for group in groups] == [
        (("/opt/x", "/opt/y"), ["a", "b"]),
        (("/opt/z",), ["b"]),
    ]
    assert [group.raw for group in groups] == [(), (text,)]


def test_the_order_of_rules_does_not_tell_programs_apart() -> None:
    groups = group_by_executable([rule("a", "/x"), rule("b", "/x"), rule("b", "/y"), rule("a", "/y")])
    assert [group.executables for group in groups] == [("/x", "/y")]


def test_what_holds_for_the_workload_is_not_repeated() -> None:
    whole = RawText("spec.r[0]", "deny /a r,")
    assert group_by_executable([rule("a"), rule("a", "/x")], [whole, RawText("spec.r[1]", "deny /a r,", ("/x",))]) == ()


def test_a_merged_usr_has_two_names_for_a_program() -> None:
    assert spellings("/bin/cat") == ("/bin/cat", "/usr/bin/cat")
    assert spellings("/usr/sbin/nginx") == ("/usr/sbin/nginx", "/sbin/nginx")
    assert spellings("/usr/local/bin/x") == ("/usr/local/bin/x",)
    (group,) = group_by_executable([rule("a", "/bin/cat"), rule("b", "/usr/bin/cat")])
    assert group.executables == ("/bin/cat", "/usr/bin/cat")
    assert [item.rule.name for item in group.selected] == ["a", "b"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from(["/x", "/bin/y", "/usr/bin/y", "/z"]), max_size=3)),
        max_size=12,
    )
)
def test_each_program_is_in_one_group_with_all_its_rules(given_rules: list[tuple[str, list[str]]]) -> None:
    selected = [rule(name, *targets) for name, targets in given_rules]
    for_all = {name for name, targets in given_rules if not targets}
    wanted: dict[str, set[str]] = {}
    for name, targets in given_rules:
        for target in targets:
            for path in spellings(target):
                wanted.setdefault(path, set()).add(name)
    wanted = {path: names - for_all for path, names in wanted.items() if names - for_all}
    groups = group_by_executable(selected)
    found = {path: {item.rule.name for item in group.selected} for group in groups for path in group.executables}
    assert found == wanted
    assert sum(len(group.executables) for group in groups) == len(found)
    assert len({frozenset(item.rule.name for item in group.selected) for group in groups}) == len(groups)

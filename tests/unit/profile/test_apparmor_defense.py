# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import manifest
from varmor.errors import PolicyError
from varmor.policy.parse import parse_object
from varmor.policy.types import Policy
from varmor.profile.apparmor_defense import defense_text
from varmor.profile.apparmor_lines import Origin, origin
from varmor.profile.types import NodeFacts

_FIELD = "spec.policy.defenseInDepth.appArmor.customProfile"
_NAME = "varmor-default-web"
_OWN = f'"{{,*//&}}{_NAME}{{,//&*}}"'


def _policy(text: str, *raw: str) -> Policy:
    part: dict[str, Any] = {"profileType": "Custom", "customProfile": text}
    if raw:
        part["appArmorRawRules"] = [{"rules": rules} for rules in raw]
    document = manifest(mode="DefenseInDepth", enforcer="AppArmor")
    document["spec"]["policy"]["defenseInDepth"] = {"appArmor": part}
    return parse_object(document, "test")


def _made(text: str, *raw: str, complain: bool = False) -> str:
    return defense_text(_policy(text, *raw), _NAME, text, NodeFacts(), complain=complain, field=_FIELD)


def _header(header: str, *, complain: bool = False) -> str:
    lines = _made(f"{header} {{\n}}\n", complain=complain).split("\n")
    return lines[lines.index(f"# begin {_FIELD}") + 1]


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        ("profile x", ""),
        ("profile x /usr/sbin/x", ""),
        ("/usr/sbin/x", ""),
        ('profile "x y" /usr/{,s}bin/x xattrs=(user.a="b")', ""),
        ("profile x (audit)", "audit,"),
        ("profile x flags=(mediate_deleted, audit  debug)", "mediate_deleted,audit,debug,"),
        ("profile x flags=(complain)", "complain,"),
        (f"profile {_NAME}", ""),
    ],
)
def test_the_profile_gets_our_name_and_is_attached_to_nothing(header: str, flags: str) -> None:
    ours = [flag for flag in ("attach_disconnected", "mediate_deleted") if flag not in flags]
    assert _header(header) == f"profile {_NAME} flags=({flags}{','.join(ours)}) {{"


@pytest.mark.parametrize("flags", ["enforce", "complain", "kill", "unconfined", "prompt", "default_allow"])
def test_observation_is_the_only_mode(flags: str) -> None:
    expected = f"profile {_NAME} flags=(audit,complain,attach_disconnected,mediate_deleted) {{"
    assert _header(f"profile x flags=({flags},audit)", complain=True) == expected


def test_the_frame() -> None:
    text = "#include <tunables/global>\nprofile x {\n  /a r,\n}\n\n"
    assert _made(text).split("\n") == [
        "# Made by varmor from a policy. Changes are overwritten.",
        "abi <abi/3.0>,",
        f"# begin {_FIELD}",
        "#include <tunables/global>",
        f"profile {_NAME} flags=(attach_disconnected,mediate_deleted) {{",
        "  /a r,",
        "}",
        f"# end {_FIELD}",
        "",
    ]
    assert "abi <abi/3.0>" not in _made("abi <abi/4.0>,\nprofile x { }")


def test_child_profiles_and_hats_are_disconnected_and_observed_too() -> None:
    text = "profile x {\n  profile sub /y {\n  }\n  ^hat flags=(audit) {\n  }\n  hat h2 {\n  }\n}\n"
    made = _made(text, complain=True)
    assert "  profile sub /y flags=(complain,attach_disconnected,mediate_deleted) {\n" in made
    assert "  ^hat flags=(audit,complain,attach_disconnected,mediate_deleted) {\n" in made
    assert "  hat h2 flags=(complain,attach_disconnected,mediate_deleted) {\n" in made


@pytest.mark.parametrize(
    ("rule", "renamed"),
    [
        ("signal (send) peer=x,", f"signal (send) peer={_OWN},"),
        ('signal peer="x",', f"signal peer={_OWN},"),
        ("unix peer=(label=x),", f"unix peer=(label={_OWN}),"),
        ("ptrace peer=x//sub,", f"ptrace peer={_NAME}//sub,"),
        ("signal peer=x//&unconfined,", f"signal peer={_NAME}//&unconfined,"),
        ("/bin/a px -> x//sub,", f"/bin/a px -> {_NAME}//sub,"),
        ("/bin/a px -> &x,", f"/bin/a px -> &{_NAME},"),
        ("change_profile -> x,", f"change_profile -> {_NAME},"),
        ("signal peer=xy,", "signal peer=xy,"),
        ("signal peer=@{profile_name},", "signal peer=@{profile_name},"),
        ("/x r,", "/x r,"),
        ("/bin/a cx -> sub,", "/bin/a cx -> sub,"),
    ],
)
def test_where_the_profile_names_itself(rule: str, renamed: str) -> None:
    assert f"\n  {renamed}\n" in _made(f"profile x {{\n  {rule}\n}}\n")


def test_a_profile_named_by_its_path() -> None:
    made = _made("/usr/bin/x {\n  signal peer=/usr/bin/x,\n  /usr/bin/x mr,\n}\n")
    assert f"  signal peer={_OWN},\n  /usr/bin/x mr,\n" in made


def test_observation_records_what_is_denied_outright() -> None:
    text = "profile x {\n  deny /a w,\n  audit deny /b w,\n  deny owner /c w,\n  profile y { deny network, }\n}\n"
    made = _made(text, "deny /d w,", complain=True)
    assert "\n  audit deny /a w,\n  audit deny /b w,\n  audit deny owner /c w,\n" in made
    assert "{ audit deny network, }" in made
    assert "\n  audit deny /d w,\n" in made
    assert "\n  deny /a w,\n" in _made(text)


def test_raw_rules_stand_last_and_lines_are_found_again() -> None:
    raw = "deny /a w,\n\ndeny /b w,\n"
    made = _made("profile x /y\n  flags=(audit)\n{\n  /c r, # }\n}\n", raw, "deny /d w,")
    lines = made.split("\n")
    places = {line.strip(): origin(made, number) for number, line in enumerate(lines, start=1)}
    field = "spec.policy.defenseInDepth.appArmor.appArmorRawRules[{}].rules"
    assert places["deny /b w,"] == Origin(field.format(0), 3)
    assert places["deny /d w,"] == Origin(field.format(1), 1)
    assert places["/c r, # }"] == Origin(_FIELD, 4)
    assert places["}"] == Origin(_FIELD, 5)
    assert lines.index("  deny /d w,") > lines.index("  deny /b w,") > lines.index("  /c r, # }")


def test_raw_rules_in_a_profile_of_one_line() -> None:
    made = _made("profile x { /c r, }", "deny /a w,")
    assert "{ /c r, \n  # begin" in made
    assert made.index("/a w,") < made.index("}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# nothing", "line 1 of the text: no profile in this text; expected one: `profile NAME { rules }`"),
        ("profile a { }\n/b { }", "line 2 of the text: 2 profiles in this text (a, /b); expected one: a workload gets"),
        ("profile a {\n", "line 1 of the text: the block that begins here is not closed by '}'"),
        ("^a { }", "expected a profile, found '^a'"),
        ("if $x { }", "expected a profile, found 'if $x'"),
    ],
)
def test_other_texts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _made(text)
    assert caught.value.field == _FIELD
    assert problem in str(caught.value)


def test_templates_and_markup_are_ordinary_text() -> None:
    assert "/{{a,b},c}<b>{{.Name}} r," in _made("profile x { /{{a,b},c}<b>{{.Name}} r, }")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.unit.manifests import policy
from varmor.policy.parse import parse_policies
from varmor.profile.apparmor_lines import Origin, complained, defused, marked, origin, text_error

_FIELD = "spec.policy.enhanceProtect.appArmorRawRules[0].rules"
_OUTER = "spec.policy.defenseInDepth.appArmor.customProfile"

_MANIFEST = """\
apiVersion: crd.varmor.org/v1beta1
kind: VarmorPolicy
metadata: {name: web}
spec:
  target: {kind: Container, name: web}
  policy:
    enforcer: AppArmor
    mode: EnhanceProtect
    enhanceProtect:
      appArmorRawRules:
        - rules: |
            deny /a w,

            deny /b qq,
        - rules: "deny /c w,\\ndeny /d qq,"
"""


def _text() -> str:
    inner = marked(_FIELD, defused("deny /b w,\n  # end spec.x\ndeny /c w,\n\n"))
    return "\n".join(["abi", *marked(_OUTER, ["profile x {", *inner, "}"]), "last"])


def test_lines_of_custom_text_are_found_again() -> None:
    text = _text()
    found = {content.strip(): origin(text, number) for number, content in enumerate(text.split("\n"), start=1)}
    assert found["profile x {"] == Origin(_OUTER, 1)
    assert found["deny /b w,"] == Origin(_FIELD, 1)
    assert found["## end spec.x"] == Origin(_FIELD, 2)
    assert found["deny /c w,"] == Origin(_FIELD, 3)
    assert found["}"] == Origin(_OUTER, 2)
    assert found["abi"] is None
    assert found["last"] is None
    assert origin(text, 0) is None
    assert origin(text, 99) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("AppArmor parser error at line 5: syntax error", Origin(_FIELD, 1)),
        ("AppArmor parser error for F in profile F at line 5: syntax error", Origin(_FIELD, 1)),
        ("AppArmor parser error for F in profile /etc/included at line 5: syntax error", None),
        ("Regex grouping error\napparmor_parser: Unable to parse input line '/c'\nfailed", Origin(_FIELD, 3)),
        ("Found reference to variable NOPE, but is never declared", None),
        ("profile has merged rule with conflicting x modifiers", None),
        ("AppArmor parser error at line 1: syntax error", None),
    ],
)
def test_what_the_parser_complains_of(words: str, expected: Origin | None) -> None:
    assert complained(_text(), words, "F") == expected


def test_an_undeclared_variable_is_found() -> None:
    text = "\n".join(marked(_FIELD, ["deny /a r,", "deny @{NOPE}/x r,"]))
    words = "Found reference to variable NOPE, but is never declared"
    assert complained(text, words, "F") == Origin(_FIELD, 2)


def test_errors_name_the_line_of_the_manifest() -> None:
    (made,) = parse_policies(_MANIFEST, "m.yaml")
    error = text_error(made, Origin(_FIELD, 3), "what is this")
    assert str(error) == f"m.yaml:14: VarmorPolicy default/web: {_FIELD}: what is this"


def test_a_string_has_no_lines_of_its_own() -> None:
    (made,) = parse_policies(_MANIFEST, "m.yaml")
    field = _FIELD.replace("0", "1")
    error = text_error(made, Origin(field, 2), "what is this")
    assert str(error) == f"m.yaml:15:18: VarmorPolicy default/web: {field}: line 2 of the text: what is this"


def test_a_policy_without_a_file() -> None:
    made = policy(appArmorRawRules=[{"rules": "deny /a w,"}])
    error = text_error(made, Origin(_FIELD, 1), "what is this")
    assert str(error) == f"test: VarmorPolicy default/web: {_FIELD}: line 1 of the text: what is this"

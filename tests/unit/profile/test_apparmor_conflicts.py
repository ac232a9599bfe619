# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import policy, profile
from varmor.errors import PolicyError
from varmor.profile.apparmor import raw_texts
from varmor.profile.apparmor_conflicts import idle_target_rules

_FIELD = "spec.policy.enhanceProtect.appArmorRawRules[0].rules"


def _rules(workload: str) -> dict[str, Any]:
    return {
        "enforcer": "AppArmor",
        "appArmorRawRules": [{"rules": workload}, {"rules": "deny /secret r,", "targets": ["/usr/bin/cat"]}],
    }


@pytest.mark.parametrize("rule", ["/usr/bin/cat ix,", "audit /bin/cat rPx -> other,", '"/usr/bin/cat" rux,'])
def test_how_a_target_is_executed_is_not_for_custom_rules(rule: str) -> None:
    with pytest.raises(PolicyError, match="is executed, but it is a target") as caught:
        profile(**_rules(f"/a r,\n{rule}"))
    assert caught.value.field == _FIELD
    assert "line 2 of the text" in str(caught.value)


@pytest.mark.parametrize("rule", ["deny /usr/bin/cat rx,", "/usr/bin/cat r,", "/usr/bin/cat* ix,", "/usr/bin/tac ix,"])
def test_other_rules_stand(rule: str) -> None:
    text = profile(**_rules(rule)).apparmor
    assert text is not None
    assert f"  {rule}\n" in text


def test_what_a_target_cannot_be_allowed() -> None:
    made = policy(
        appArmorRawRules=[
            {"rules": "mount,"},
            {"rules": "deny mount,\nptrace (trace) peer=x,\naudit signal,\n/a r,\nfile,", "targets": ["/x"]},
        ]
    )
    notes = list(idle_target_rules(made, raw_texts(made)))
    assert [note.field for note in notes] == ["spec.policy.enhanceProtect.appArmorRawRules[1].rules"] * 2
    assert notes[0].message == (
        "'ptrace (trace) peer=x' allows nothing: a target has the rights of its workload at most; allow it there, in"
        " an entry without targets"
    )
    assert "'audit signal'" in notes[1].message


def test_a_privileged_workload_may_do_it() -> None:
    made = policy(privileged=True, appArmorRawRules=[{"rules": "ptrace,", "targets": ["/x"]}])
    assert list(idle_target_rules(made, raw_texts(made))) == []

# SPDX-License-Identifier: Apache-2.0
"""Custom AppArmor rules that do not go together with targets, found before apparmor_parser says it without a place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from varmor.policy.types import Policy
from varmor.profile import apparmor_raw
from varmor.profile.apparmor_lines import Origin, text_error
from varmor.profile.executables import ExecutableGroup, RawText
from varmor.profile.types import NoEffect

_EXECUTION = re.compile(r"^(?:(?:audit|allow|owner)\s+)*(?:file\s+)?(?P<path>\"[^\"]+\"|/\S+)\s+(?P<mode>[a-zA-Z]*x)\b")
# Classes that the runtime's default refuses: a target has its workload's rights at most.
_REFUSED_BY_DEFAULT = frozenset({"mount", "remount", "pivot_root", "ptrace", "signal", "dbus", "change_profile"})


def refuse_conflicts(policy: Policy, groups: Sequence[ExecutableGroup], raw: Sequence[RawText]) -> None:
    """Refuse custom rules for the workload that say, for a target's very path, how it is executed.

    Raises:
        PolicyError: with the rule's place.
    """
    targets = {path for group in groups for path in group.executables}
    for text in raw:
        for statement in () if text.targets else _statements(text):
            found = _EXECUTION.match(statement.text)
            if found and found["path"].strip('"') in targets:
                raise text_error(
                    policy,
                    Origin(text.field, statement.line),
                    f"{statement.text!r} says how {found['path']} is executed, but it is a target and so runs with"
                    " rules of its own: leave out the x, or remove the target",
                )


def idle_target_rules(policy: Policy, raw: Sequence[RawText]) -> Iterator[NoEffect]:
    """Custom rules for targets that would allow more than the workload may do: they allow nothing."""
    rules = policy.enhance_protect
    if rules is not None and rules.privileged:
        return
    for text in raw:
        for statement in _statements(text) if text.targets else ():
            words = statement.text.split()
            denies = "deny" in words[:3]
            if not denies and any(re.split(r"[=(]", word)[0] in _REFUSED_BY_DEFAULT for word in words[:3]):
                yield NoEffect(
                    text.field,
                    f"{statement.text!r} allows nothing: a target has the rights of its workload at most;"
                    " allow it there, in an entry without targets",
                )


def _statements(text: RawText) -> tuple[apparmor_raw.Statement, ...]:
    try:
        return tuple(apparmor_raw.statements(text.text))
    except apparmor_raw.RawTextError:
        return ()

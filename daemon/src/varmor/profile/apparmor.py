# SPDX-License-Identifier: Apache-2.0
"""The text of an AppArmor profile: base, built-in rules, ``appArmorRawRules``, child profiles for targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varmor.policy.types import Mode, Policy
from varmor.profile.apparmor_base import FLAGS, allow_all, runtime_default
from varmor.profile.apparmor_children import children, raw_lines, transitions
from varmor.profile.apparmor_conflicts import refuse_conflicts
from varmor.profile.apparmor_rules import Frame, built_in, expressible
from varmor.profile.executables import ExecutableGroup, RawText, group_by_executable
from varmor.profile.selection import RULES_FIELD, Reaction, Selected
from varmor.profile.types import NodeFacts

_INDENT = "  "
# Everything passes and is recorded. Executions are allowed outright: the profiles that the kernel would invent for them
# are refused to programs with no_new_privs.
_MODELING = ("audit /** ix,",)


def profile_text(name: str, policy: Policy, selected: Sequence[Selected], reaction: Reaction, facts: NodeFacts) -> str:
    """The whole text of the profile ``name``, in the grammar of the node's parser, for all modes but DefenseInDepth.

    Rules that need a newer parser or kernel than the node's are left out: the selection has said so, or made sure that
    another enforcer has them.

    Raises:
        PolicyError: a custom rule contradicts a target.
    """
    if policy.mode is Mode.BEHAVIOR_MODELING:
        return _assemble(name, declared_abi(facts), _MODELING, complain=True)
    usable = expressible(selected, facts)
    abi = declared_abi(facts, usable)
    raw = raw_texts(policy)
    groups = group_by_executable(() if reaction.nothing else usable, raw)
    if groups:
        refuse_conflicts(policy, groups, raw)
    lines = [*_workload(name, policy, usable, reaction, facts, abi, groups)]
    for text in raw:
        if not text.targets:
            lines += ["", *raw_lines(text)]
    lines += children(name, groups, reaction, facts, abi)
    return _assemble(name, abi, lines)


def raw_texts(policy: Policy) -> tuple[RawText, ...]:
    """``appArmorRawRules`` with their fields."""
    rules = policy.enhance_protect
    if rules is None or policy.mode is not Mode.ENHANCE_PROTECT:
        return ()
    return tuple(
        RawText(f"{RULES_FIELD}.appArmorRawRules[{number}].rules", raw.rules, raw.targets)
        for number, raw in enumerate(rules.apparmor_raw_rules)
    )


def declared_abi(facts: NodeFacts, usable: Sequence[Selected] = ()) -> str:
    """The ABI to declare: 4.0 only for a rule that needs it, since it makes the kernel mediate more classes."""
    newer = any(item.rule.apparmor and item.rule.apparmor.parser >= (4, 0) for item in usable)
    if newer and "4.0" in facts.apparmor_abi:
        return "4.0"
    return "3.0" if "3.0" in facts.apparmor_abi else ""


def _workload(
    name: str,
    policy: Policy,
    usable: Sequence[Selected],
    reaction: Reaction,
    facts: NodeFacts,
    abi: str,
    groups: Sequence[ExecutableGroup],
) -> Iterator[str]:
    rules = policy.enhance_protect
    enhance = policy.mode is Mode.ENHANCE_PROTECT
    allows_all = policy.mode is Mode.ALWAYS_ALLOW or bool(enhance and rules and rules.privileged)
    if allows_all:
        yield from allow_all(abi)
    else:
        yield from runtime_default(name, abi, children=bool(groups), audit=reaction.audit and enhance)
    if groups:
        yield from ("", *transitions(name, groups, reaction))
    targets = frozenset(path for group in groups for path in group.executables)
    frame = Frame(name, allows_all, targets)
    yield from built_in([item for item in usable if not item.targets], reaction, facts, frame)


def _assemble(name: str, abi: str, lines: Sequence[str], *, complain: bool = False) -> str:
    head = ["# Made by varmor from a policy. Changes are overwritten."]
    if abi:
        head.append(f"abi <abi/{abi}>,")
    flags = ",".join((*FLAGS, *(("complain",) if complain else ())))
    head += ["#include <tunables/global>", "", f"profile {name} flags=({flags}) {{"]
    return "\n".join([*head, *(f"{_INDENT}{line}" if line else "" for line in lines), "}", ""])

# SPDX-License-Identifier: Apache-2.0
"""Which built-in rules a policy chooses, and whether the chosen enforcers can express them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from varmor.catalog.types import Catalog, Rule, RuleList
from varmor.errors import PolicyError
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import Enforcer, Policy
from varmor.profile.types import NodeFacts, NoEffect

RULES_FIELD = "spec.policy.enhanceProtect"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What happens when a rule is violated: refused or not, recorded or not."""

    deny: bool
    audit: bool

    @property
    def nothing(self) -> bool:
        """Whether the rule neither refuses nor records."""
        return not self.deny and not self.audit


@dataclass(frozen=True, slots=True)
class Selected:
    """A built-in rule that a policy chose, with the field that names it.

    ``targets`` are the programs (full paths) that it is for; none means the whole workload.
    """

    rule: Rule
    field: str
    targets: tuple[str, ...] = ()


def select_rules(policy: Policy, catalog: Catalog, notes: list[NoEffect]) -> tuple[Selected, ...]:
    """The built-in rules of a policy in the manifest's order, each once for the same targets.

    Raises:
        PolicyError: an unknown rule, one in the wrong list, or a target that is a pattern.
    """
    selected: dict[tuple[str, tuple[str, ...]], Selected] = {}
    for wanted_list, field, name, targets in _names(policy):
        rule = catalog.find(name)
        if rule is None:
            raise policy.error(field, f"unknown rule {name[:80]!r}{did_you_mean(name, catalog.names())}")
        if rule.list is not wanted_list:
            raise policy.error(field, f"the rule {name!r} belongs to {rule.list.value}, not here: move it there")
        selected.setdefault((rule.name, targets), Selected(rule, field, targets))
    for item in selected.values():
        if item.targets and (item.rule.name, ()) in selected:
            notes.append(NoEffect(item.field, f"{item.rule.name} holds for the whole workload already"))
    return tuple(selected.values())


def _names(policy: Policy) -> Iterator[tuple[RuleList, str, str, tuple[str, ...]]]:
    rules = policy.enhance_protect
    if rules is None:
        return
    field = f"{RULES_FIELD}.{RuleList.HARDENING.value}"
    for index, name in enumerate(rules.hardening_rules):
        yield RuleList.HARDENING, f"{field}[{index}]", name, ()
    field = f"{RULES_FIELD}.{RuleList.ATTACK_PROTECTION.value}"
    for number, group in enumerate(rules.attack_protection_rules):
        targets = checked_targets(policy, f"{field}[{number}].targets", group.targets)
        for index, name in enumerate(group.rules):
            yield RuleList.ATTACK_PROTECTION, f"{field}[{number}].rules[{index}]", name, targets
    field = f"{RULES_FIELD}.{RuleList.VUL_MITIGATION.value}"
    for index, name in enumerate(rules.vul_mitigation_rules):
        yield RuleList.VUL_MITIGATION, f"{field}[{index}]", name, ()


def checked_targets(policy: Policy, field: str, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The targets, each once and sorted.

    Raises:
        PolicyError: one is a pattern, or not the path of a file.
    """
    for index, path in enumerate(targets):
        problem = ""
        if set(path) & set("*?[]{}"):
            problem = "is a pattern; expected the full path of one program, such as /bin/sh: list them one by one"
        elif path.endswith("/") or any(part in ("", ".", "..") for part in path.split("/")[1:]):
            problem = "is not the path of a program; expected one such as /bin/sh, without '.', '..' and '//'"
        if problem:
            raise policy.error(f"{field}[{index}]", f"{path[:200]!r} {problem}")
    return tuple(sorted(set(targets)))


def usable(rule: Rule, facts: NodeFacts) -> Enforcer:
    """The enforcers that can express ``rule`` on such a node and whose kernel part is new enough for it.

    Whether the node's kernel serves the enforcer at all is another question.
    """
    hindered = Enforcer(0)
    for member in obstacles(rule, facts):
        hindered |= member
    return rule.enforcers & ~hindered


def obstacles(rule: Rule, facts: NodeFacts) -> dict[Enforcer, str]:
    """Why an enforcer that has a form of ``rule`` cannot use it on such a node."""
    found: dict[Enforcer, str] = {}
    if rule.apparmor and rule.apparmor.parser > facts.apparmor_parser:
        found[Enforcer.APPARMOR] = (
            f"AppArmor needs apparmor_parser {_version(rule.apparmor.parser)}, found {_version(facts.apparmor_parser)}"
        )
    elif rule.apparmor and rule.apparmor.kernel > facts.kernel:
        found[Enforcer.APPARMOR] = f"AppArmor needs Linux {_version(rule.apparmor.kernel)}, {_found(facts)}"
    if rule.bpf and rule.bpf.kernel > facts.kernel:
        found[Enforcer.BPF] = f"BPF needs Linux {_version(rule.bpf.kernel)}, {_found(facts)}"
    return found


def _found(facts: NodeFacts) -> str:
    return f"found {_version(facts.kernel)}"


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def expressing(item: Selected) -> Enforcer:
    """The enforcers that can say the rule for its targets: seccomp knows no executables."""
    return item.rule.enforcers & ~Enforcer.SECCOMP if item.targets else item.rule.enforcers


def check_expressible(policy: Policy, selected: tuple[Selected, ...], facts: NodeFacts, notes: list[NoEffect]) -> None:
    """Make sure that each rule is said by at least one of the policy's enforcers; note what this node cannot do.

    Raises:
        PolicyError: no chosen enforcer can express a rule.
    """
    for item in selected:
        able = expressing(item) & policy.enforcers
        if not able:
            raise _inexpressible(policy, item)
        problem = _not_here(policy, item, able, facts)
        if problem:
            notes.append(NoEffect(item.field, f"{item.rule.name} is not enforced: {problem}"))
        if item.targets and Enforcer.SECCOMP in item.rule.enforcers & policy.enforcers:
            message = f"seccomp cannot tell executables apart: its part of {item.rule.name} is left out"
            notes.append(NoEffect(item.field, message))


def _not_here(policy: Policy, item: Selected, able: Enforcer, facts: NodeFacts) -> str:
    """Why none of the enforcers in ``able`` enforces the rule on this node; empty when one does."""
    new_enough = usable(item.rule, facts)
    if new_enough & able & facts.enforcers:
        return ""
    reasons: list[str] = []
    if missing := able & ~facts.enforcers:
        reasons.append(f"it needs {' and '.join(missing.names())}, which this node has not got")
    reasons += [reason for member, reason in obstacles(item.rule, facts).items() if member in able & facts.enforcers]
    others = new_enough & facts.enforcers & expressing(item) & ~policy.enforcers
    return f"{'; '.join(reasons)}{_instead(others)}"


def _inexpressible(policy: Policy, item: Selected) -> PolicyError:
    chosen = " and ".join(policy.enforcers.names())
    if item.targets and Enforcer.SECCOMP in item.rule.enforcers & policy.enforcers:
        problem = f"the rule {item.rule.name!r} is for single executables (targets), and seccomp cannot tell them apart"
    else:
        problem = f"the rule {item.rule.name!r} cannot be expressed by {chosen}"
        reasons = [reason for member, reason in item.rule.cannot if member in policy.enforcers]
        problem += f" ({'; '.join(reasons)})" if reasons else ""
    return policy.error(item.field, f"{problem}{_instead(expressing(item))}")


def _instead(able: Enforcer) -> str:
    return f"; add {' or '.join(able.names())} to spec.policy.enforcer" if able else ""

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
    """The built-in rules of a policy, each once, in the manifest's order.

    Raises:
        PolicyError: an unknown rule, or one in the wrong list.
    """
    selected: dict[str, Selected] = {}
    for wanted_list, field, name in _names(policy, notes):
        rule = catalog.find(name)
        if rule is None:
            raise policy.error(field, f"unknown rule {name[:80]!r}{did_you_mean(name, catalog.names())}")
        if rule.list is not wanted_list:
            raise policy.error(field, f"the rule {name!r} belongs to {rule.list.value}, not here: move it there")
        selected.setdefault(rule.name, Selected(rule, field))
    return tuple(selected.values())


def _names(policy: Policy, notes: list[NoEffect]) -> Iterator[tuple[RuleList, str, str]]:
    rules = policy.enhance_protect
    if rules is None:
        return
    field = f"{RULES_FIELD}.{RuleList.HARDENING.value}"
    for index, name in enumerate(rules.hardening_rules):
        yield RuleList.HARDENING, f"{field}[{index}]", name
    field = f"{RULES_FIELD}.{RuleList.ATTACK_PROTECTION.value}"
    for number, group in enumerate(rules.attack_protection_rules):
        if group.targets:
            refuse_targets(policy, f"{field}[{number}].targets", notes)
            continue
        for index, name in enumerate(group.rules):
            yield RuleList.ATTACK_PROTECTION, f"{field}[{number}].rules[{index}]", name
    field = f"{RULES_FIELD}.{RuleList.VUL_MITIGATION.value}"
    for index, name in enumerate(rules.vul_mitigation_rules):
        yield RuleList.VUL_MITIGATION, f"{field}[{index}]", name


def refuse_targets(policy: Policy, field: str, notes: list[NoEffect]) -> None:
    """Rules for single executables: refused where AppArmor would honour them one day, without effect elsewhere.

    Raises:
        PolicyError: the policy asks for AppArmor.
    """
    if Enforcer.APPARMOR in policy.enforcers:
        raise policy.error(field, "rules for single executables (targets) are not built yet: remove the targets")
    notes.append(NoEffect(field, "only AppArmor can tell executables apart, so these rules do nothing"))


def usable(rule: Rule, facts: NodeFacts) -> Enforcer:
    """The enforcers that can express ``rule`` on such a node, whether or not its kernel serves them."""
    enforcers = rule.enforcers
    if rule.apparmor and rule.apparmor.parser > facts.apparmor_parser:
        enforcers &= ~Enforcer.APPARMOR
    return enforcers


def check_expressible(policy: Policy, selected: tuple[Selected, ...], facts: NodeFacts, notes: list[NoEffect]) -> None:
    """Make sure that each rule is said by at least one of the policy's enforcers.

    Raises:
        PolicyError: no chosen enforcer can express a rule.
    """
    for item in selected:
        able = usable(item.rule, facts) & policy.enforcers
        if not able:
            raise _inexpressible(policy, item, facts)
        if not able & facts.enforcers:
            names = " and ".join(able.names())
            notes.append(
                NoEffect(item.field, f"{item.rule.name} is not enforced: it needs {names}, which this node has not got")
            )


def _inexpressible(policy: Policy, item: Selected, facts: NodeFacts) -> PolicyError:
    rule = item.rule
    chosen = " and ".join(policy.enforcers.names())
    able = usable(rule, facts)
    problem = f"the rule {rule.name!r} cannot be expressed by {chosen}"
    if rule.apparmor and Enforcer.APPARMOR in policy.enforcers:
        needed = ".".join(map(str, rule.apparmor.parser))
        problem += f" (AppArmor needs apparmor_parser {needed}, found {'.'.join(map(str, facts.apparmor_parser))})"
    return policy.error(item.field, f"{problem}; add {' or '.join(able.names())} to spec.policy.enforcer")

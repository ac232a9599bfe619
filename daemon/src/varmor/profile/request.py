# SPDX-License-Identifier: Apache-2.0
"""What the parts of a compilation share: the policy, the node, and what both make of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from varmor.policy.parse import profile_name
from varmor.policy.types import Enforcer, Mode, Policy, TargetKind
from varmor.profile.place import Place
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NodeFacts, NoEffect

if TYPE_CHECKING:
    from varmor.policy.armor_profile_model import ArmorProfileModel

DEFENSE_FIELD = "spec.policy.defenseInDepth"


@dataclass(slots=True)
class Request:
    """One policy to be compiled for a node. ``selected`` are its built-in rules, ``notes`` what does nothing."""

    policy: Policy
    facts: NodeFacts
    models: tuple[ArmorProfileModel, ...] = ()
    selected: tuple[Selected, ...] = ()
    notes: list[NoEffect] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The profile's name."""
        return profile_name(self.policy.key)

    @property
    def serving(self) -> Enforcer:
        """The policy's enforcers that the node has."""
        return self.policy.enforcers & self.facts.enforcers

    @property
    def unit(self) -> bool:
        """Whether the policy is for a systemd unit."""
        return self.policy.target.kind is TargetKind.UNIT

    @property
    def for_all(self) -> tuple[Selected, ...]:
        """The built-in rules that hold for the whole workload."""
        return tuple(item for item in self.selected if not item.targets)

    @property
    def reaction(self) -> Reaction:
        """What happens at a violation."""
        return reaction_of(self.policy)

    def place(self, path: str) -> Place:
        """A field of the policy."""
        return Place(self.policy, path)

    def note(self, path: str, message: str) -> None:
        """Say that a field does nothing, or less than it seems to."""
        self.notes.append(NoEffect(path, message))


def reaction_of(policy: Policy) -> Reaction:
    """What happens at a violation of the policy's rules; for DefenseInDepth, at what its profiles do not name.

    What an allow-list refuses is always recorded: such a refusal comes from no rule that could be found otherwise.
    """
    enhance, defense = policy.enhance_protect, policy.defense_in_depth
    if policy.mode is Mode.ENHANCE_PROTECT and enhance is not None:
        return Reaction(deny=not enhance.allow_violations, audit=enhance.audit_violations)
    if policy.mode is Mode.DEFENSE_IN_DEPTH and defense is not None:
        return Reaction(deny=not defense.allow_violations, audit=True)
    if policy.mode is Mode.BEHAVIOR_MODELING:
        return Reaction(deny=False, audit=True)
    return Reaction(deny=True, audit=False)

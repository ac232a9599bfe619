# SPDX-License-Identifier: Apache-2.0
"""The status of a policy, and the conditions that all objects share."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from varmor.policy.record import INT32, member


class Phase(enum.StrEnum):
    """Where a policy stands. ``UNCHANGED`` is said between components only and means: leave the phase as it is."""

    PENDING = "Pending"
    MODELING = "Modeling"
    COMPLETED = "Completed"
    PROTECTING = "Protecting"
    ERROR = "Error"
    FAILED = "Failed"
    UNKNOWN = "Unknown"
    UNCHANGED = "Unchanged"


class ConditionType(enum.StrEnum):
    """What a condition is about. ``EFFECTIVE`` (not in vArmor) is false where a part of the policy does nothing."""

    CREATED = "Created"
    UPDATED = "Updated"
    READY = "Ready"
    EFFECTIVE = "Effective"


class ConditionStatus(enum.StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a policy."""

    type: ConditionType = member("What the condition is about")
    status: ConditionStatus = member("Whether it holds")
    last_transition_time: str = member("When the status last changed", default="", limit=64, time=True)
    reason: str = member("One word for programs", default="", limit=1024)
    message: str = member("What a person should know", default="", limit=32768)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCondition:
    """One condition of a node, about the object that carries it."""

    type: ConditionType = member("What the condition is about")
    status: ConditionStatus = member("Whether it holds")
    last_transition_time: str = member("When the status last changed", default="", limit=64, time=True)
    reason: str = member("One word for programs", default="", limit=1024)
    message: str = member("What a person should know", default="", limit=32768)
    node_name: str = member("The node that says so", default="", limit=253)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """The status of a VarmorPolicy or VarmorClusterPolicy. ``observed_generation`` is not in vArmor."""

    profile_name: str = member("The name of the profile in every enforcer", limit=63)
    ready: bool = member("Whether the profile is in force on all nodes that are to have it")
    phase: Phase = member("Where the policy stands", default=Phase.UNKNOWN)
    conditions: tuple[Condition, ...] = member("What happened to the policy, and what of it does nothing", default=())
    observed_generation: int | None = member("The generation of the spec that this is about", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmorProfileStatus:
    """On how many nodes a profile is loaded."""

    desired_number_loaded: int = member("Nodes that are to have the profile", default=0, high=INT32)
    current_number_loaded: int = member("Nodes that have it", default=0, high=INT32)
    conditions: tuple[NodeCondition, ...] = member("Nodes that failed, and why", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmorProfileModelStatus:
    """How many nodes have handed in what they saw."""

    desired_number: int = member("Nodes that are to hand in their observations", default=0, high=INT32)
    completed_number: int = member("Nodes that have done so", default=0, high=INT32)
    ready: bool = member("Whether the model is complete", default=False)
    conditions: tuple[NodeCondition, ...] = member("Nodes that failed, and why", default=())

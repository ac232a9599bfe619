# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows about one policy, and how it says so."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from varmor.node.store import Revision
from varmor.policy.types import Policy, PolicyKey


class Phase(enum.StrEnum):
    """The one-word state of a policy on this node."""

    PENDING = "Pending"
    PROTECTING = "Protecting"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Condition:
    """A statement about a policy: ``type`` is True, False for the reason and message given."""

    type: str
    status: bool
    reason: str
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        """In the shape of a Kubernetes condition."""
        return {"type": self.type, "status": str(self.status), "reason": self.reason, "message": self.message}


@dataclass(slots=True)
class PolicyState:
    """A policy on this node.

    ``policy`` is the one whose revision is in force (None when none is), ``active`` that revision. Conditions:
    ``Accepted`` (the manifest is valid), ``Active`` (its newest revision is in force), ``Supported`` (the node has
    every enforcer that it asks for), ``Effective`` (everything in it has an effect here).
    """

    key: PolicyKey
    policy: Policy | None
    source: str
    active: Revision | None = None
    conditions: dict[str, Condition] = field(default_factory=dict)

    def say(self, type_: str, status: bool, reason: str, message: str = "") -> None:
        """Set a condition."""
        self.conditions[type_] = Condition(type_, status, reason, message)

    @property
    def in_force(self) -> bool:
        """Whether the last pass found or put the active revision in the kernel, and no enforcer refused anything."""
        condition = self.conditions.get("Active")
        return self.active is not None and condition is not None and condition.status

    @property
    def ready(self) -> bool:
        """Whether the manifest as it stands is what the kernel enforces, with every enforcer it asks for."""
        wanted = ("Accepted", "Active", "Supported")
        return self.active is not None and all(
            name in self.conditions and self.conditions[name].status for name in wanted
        )

    @property
    def phase(self) -> Phase:
        """The one-word state."""
        if self.ready:
            return Phase.PROTECTING
        return Phase.ERROR if any(not c.status for c in self.conditions.values()) else Phase.PENDING

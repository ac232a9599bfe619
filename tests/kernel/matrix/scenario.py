# SPDX-License-Identifier: Apache-2.0
"""What the table tests: for each built-in rule an attack, ways around the rule, and legitimate neighbours."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from varmor.policy.types import Enforcer

NOBODY = Enforcer(0)
REFUSED = frozenset({errno.EPERM, errno.EACCES})


@dataclass(slots=True)
class Stage:
    """Where a scenario plays: a fresh tmpfs in a mount namespace of its own, and what the whole run shares.

    ``values`` are what ``setup`` made for the steps.
    """

    directory: Path
    shared: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """A path on the stage; directories above it are made."""
        found = self.directory / name
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def file(self, name: str, content: str = "content\n", *, mode: int = 0o644) -> Path:
        """A file on the stage."""
        found = self.path(name)
        if not found.exists():
            found.write_text(content)
            found.chmod(mode)
        return found

    def folder(self, name: str) -> Path:
        """A directory on the stage."""
        found = self.directory / name
        found.mkdir(parents=True, exist_ok=True)
        return found


Step = Callable[[Stage], object]


def nothing(_stage: Stage) -> None:
    """No preparation."""


@dataclass(frozen=True, slots=True)
class Evasion:
    """A way around a rule. ``passes`` are enforcers whose form need not reach it; the catalog's ``limits`` say so."""

    step: Step
    passes: Enforcer = NOBODY


def passes(step: Step, enforcers: Enforcer) -> Evasion:
    """An evasion that the forms of these enforcers need not reach."""
    return Evasion(step, enforcers)


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a rule is put to the test.

    A step returns when it works and raises ``OSError`` when it is refused. ``setup`` runs unconfined before them, each
    time; ``teardown`` unconfined after them, outside of the stage's mount namespace. ``refused`` are the errors that
    count as a refusal. ``empty`` says why the kernel has nothing that the rule could refuse: then ``attack`` is what
    shows that.
    """

    attack: Step
    neighbour: Step
    evasions: Mapping[str, Step | Evasion] = field(default_factory=dict)
    setup: Step = nothing
    teardown: Step = nothing
    refused: frozenset[int] = REFUSED
    empty: str = ""

    def reaches(self, name: str, enforcer: Enforcer) -> bool:
        """Whether an enforcer's form must stop an evasion."""
        return enforcer not in self.way(name).passes

    def way(self, name: str) -> Evasion:
        """An evasion by its name."""
        found = self.evasions[name]
        return found if isinstance(found, Evasion) else Evasion(found)

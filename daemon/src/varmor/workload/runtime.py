# SPDX-License-Identifier: Apache-2.0
"""What a container runtime is to the daemon: places of bundles, and who a bundle is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from varmor.errors import VarmorError
from varmor.policy.workload import Workload
from varmor.workload.bundle import Bundle


class IdentityError(VarmorError):
    """A container whose name, image and labels cannot be told now."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container with its first process (pid in the node's namespace) and its OCI bundle."""

    workload: Workload
    pid: int
    bundle: Path


@dataclass(frozen=True, slots=True)
class Place:
    """A container's bundle and id. ``pid`` is that of its first process, 0 before it has one."""

    bundle: Path
    container_id: str
    pid: int = 0


class Runtime(Protocol):
    """One container runtime, seen by its files: they can be read at any moment, also while the runtime's own
    daemon waits for the container's start and holds its locks.
    """

    name: str

    def owns(self, bundle: Path) -> bool:
        """Whether a bundle at this path is this runtime's."""

    def places(self) -> Iterator[Place]:
        """The containers that exist now."""

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        """Who the container is; None for the sandbox of a pod.

        Raises:
            IdentityError: the runtime's records do not say.
        """

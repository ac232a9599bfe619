# SPDX-License-Identifier: Apache-2.0
"""All containers of the node, whichever runtime they belong to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from varmor.policy.workload import Workload
from varmor.workload import bundle as bundles
from varmor.workload.containerd import Containerd
from varmor.workload.docker import Docker
from varmor.workload.libpod import Libpod
from varmor.workload.plain_oci import PlainOci
from varmor.workload.process import Processes
from varmor.workload.runtime import IdentityError, Place, RunningContainer, Runtime

_LOG = logging.getLogger(__name__)

_Stamp = tuple[int, int]


class Containers:
    """Finds and identifies containers by the runtimes' files. What was read is kept until the bundle changes."""

    def __init__(self, runtimes: Sequence[Runtime] | None = None, processes: Processes | None = None) -> None:
        self._runtimes = tuple(runtimes) if runtimes is not None else node_runtimes()
        self._processes = processes or Processes()
        self._known: dict[Path, tuple[_Stamp, Workload | None]] = {}
        self._unreadable: set[Path] = set()

    def running(self) -> list[RunningContainer]:
        """The containers whose own code runs now; sandboxes of pods and containers that are created but not started
        are left out.
        """
        found: list[RunningContainer] = []
        seen: set[Path] = set()
        for runtime in self._runtimes:
            for place in runtime.places():
                if place.bundle in seen or self._owner(place.bundle) is not runtime:
                    continue
                seen.add(place.bundle)
                if not self._processes.alive(place.pid) or self._processes.being_set_up(place.pid):
                    continue
                workload = self._remembered(runtime, place)
                if workload is not None:
                    found.append(RunningContainer(workload, place.pid, place.bundle))
        self._known = {path: entry for path, entry in self._known.items() if path in seen}
        self._unreadable &= seen
        return found

    def identify(self, bundle: Path, container_id: str) -> Workload | None:
        """The container that is about to be created from a bundle; None for a pod's sandbox.

        Raises:
            BundleError: the bundle cannot be read.
            IdentityError: the runtime's records do not say who it is.
        """
        return self._owner(bundle).describe(bundles.read(bundle), container_id)

    def _owner(self, bundle: Path) -> Runtime:
        return next(runtime for runtime in self._runtimes if runtime.owns(bundle))

    def _remembered(self, runtime: Runtime, place: Place) -> Workload | None:
        try:
            status = (place.bundle / "config.json").stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            known = self._known.get(place.bundle)
            if known is not None and known[0] == stamp:
                return known[1]
            workload = runtime.describe(bundles.read(place.bundle), place.container_id)
        except OSError:
            return None  # the container went away meanwhile
        except (bundles.BundleError, IdentityError) as error:
            if place.bundle not in self._unreadable:
                self._unreadable.add(place.bundle)
                _LOG.warning("container %s of %s is not watched yet: %s", place.container_id, runtime.name, error)
            return None
        self._known[place.bundle] = (stamp, workload)
        self._unreadable.discard(place.bundle)
        return workload


def node_runtimes() -> tuple[Runtime, ...]:
    """The runtimes that a node may have, the catch-all last."""
    return (Docker(), Containerd(), Libpod(), PlainOci())

# SPDX-License-Identifier: Apache-2.0
"""Containers that were made by runc or crun directly, without an engine above them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from varmor.policy.workload import Workload, WorkloadKind
from varmor.workload.bundle import Bundle, read_json
from varmor.workload.runtime import Place

_RUNC = Path("/run/runc")
_CRUN = Path("/run/crun")


class PlainOci:
    """The last resort: every bundle is its own. ``name`` is the container id, labels are the annotations."""

    name = "oci"

    def __init__(self, runc: Path = _RUNC, crun: Path = _CRUN) -> None:
        self._runc = runc
        self._crun = crun

    def owns(self, bundle: Path) -> bool:
        """Always: it is asked after all others."""
        return bundle.is_absolute()

    def places(self) -> Iterator[Place]:
        """The containers in the state directories of runc and crun."""
        for file in sorted(self._runc.glob("*/state.json")):
            state = read_json(file)
            if isinstance(state, dict):
                yield from _place(file.parent.name, state.get("init_process_pid"), _labelled_bundle(state))
        for file in sorted(self._crun.glob("*/status")):
            state = read_json(file)
            if isinstance(state, dict):
                yield from _place(file.parent.name, state.get("pid"), state.get("bundle"))

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        """By id and annotations."""
        return Workload(
            kind=WorkloadKind.CONTAINER,
            id=f"oci/default/{container_id}",
            name=container_id,
            labels=dict(bundle.annotations),
            runtime=self.name,
            container_id=container_id,
        )


def _place(container_id: str, pid: object, bundle: object) -> Iterator[Place]:
    if isinstance(pid, int) and pid > 0 and isinstance(bundle, str) and bundle.startswith("/"):
        yield Place(Path(bundle), container_id, pid)


def _labelled_bundle(state: dict[str, object]) -> str | None:
    config = state.get("config")
    labels = config.get("labels") if isinstance(config, dict) else None
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str) and label.startswith("bundle="):
            return label.removeprefix("bundle=")
    return None

# SPDX-License-Identifier: Apache-2.0
"""Containers of containerd: its own (ctr, nerdctl) and those of its CRI plugin."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from varmor.policy.workload import Workload, WorkloadKind
from varmor.workload import cri
from varmor.workload.bundle import Bundle, read_pid, strings
from varmor.workload.runtime import IdentityError, Place

TASKS = "io.containerd.runtime.v2.task"
DOCKER_NAMESPACE = "moby"
_CONFIG = Path("/etc/containerd/config.toml")
_STATE = Path("/run/containerd")


class Containerd:
    """containerd of the node. ``state`` is its state directory, ``ctr_seconds`` how long its client may take."""

    name = "containerd"

    def __init__(self, state: Path | None = None, ctr: Sequence[str] = ("ctr",), ctr_seconds: float = 4.0) -> None:
        self._state = state or configured_state()
        self._ctr = tuple(ctr)
        self._ctr_seconds = ctr_seconds

    def owns(self, bundle: Path) -> bool:
        """Whether the bundle is a task of this containerd, Docker's namespace excepted."""
        parts = bundle.parts
        return bundle.is_relative_to(self._state / TASKS) and len(parts) >= 2 and parts[-2] != DOCKER_NAMESPACE

    def places(self) -> Iterator[Place]:
        """All tasks in all namespaces but Docker's."""
        for bundle in task_bundles(self._state):
            if bundle.parent.name != DOCKER_NAMESPACE:
                yield Place(bundle, bundle.name, read_pid(bundle / "init.pid"))

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        """By the CRI annotations, else by what containerd's own client says of image and labels."""
        if cri.is_sandbox(bundle.annotations):
            return None
        namespace = bundle.path.parent.name
        workload_id = f"containerd/{namespace}/{container_id}"
        pod_container = cri.from_containerd(bundle.annotations, container_id, workload_id)
        if pod_container is not None:
            return pod_container
        info = self._info(namespace, container_id)
        labels = strings(info.get("Labels"))
        return Workload(
            kind=WorkloadKind.CONTAINER,
            id=workload_id,
            name=labels.get("nerdctl/name") or container_id,
            image=str(info.get("Image") or ""),
            labels=labels,
            runtime=self.name,
            container_id=container_id,
        )

    def _info(self, namespace: str, container_id: str) -> dict[str, Any]:
        """Containerd's record of a container.

        Raises:
            IdentityError: its client is missing or gives no answer in time.
        """
        command = [*self._ctr, "--address", str(self._state / "containerd.sock"), "--namespace", namespace]
        command += ["containers", "info", container_id]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self._ctr_seconds,
                check=True,
            )
            info = json.loads(done.stdout)
        except subprocess.CalledProcessError as error:
            words = error.stderr.strip()[:500]
            raise IdentityError(f"container {container_id}: image and labels are unknown: ctr: {words}") from error
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            raise IdentityError(f"container {container_id}: image and labels are unknown: {error}") from error
        return info if isinstance(info, dict) else {}


def configured_state(config: Path = _CONFIG) -> Path:
    """The state directory that containerd's configuration names, else its default."""
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _STATE
    state = document.get("state")
    return Path(state) if isinstance(state, str) and state.startswith("/") else _STATE


def task_bundles(state: Path) -> Iterator[Path]:
    """The bundles of all tasks below a containerd state directory."""
    try:
        namespaces = sorted((state / TASKS).iterdir())
    except OSError:
        return
    for namespace in namespaces:
        try:
            yield from sorted(entry for entry in namespace.iterdir() if (entry / "config.json").exists())
        except OSError:
            continue

# SPDX-License-Identifier: Apache-2.0
"""Containers of Docker.

Name, image and labels come from dockerd's own files: its API does not answer about a container while that container
is being started, which is the very moment when the daemon must know.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from varmor.policy.workload import Workload, WorkloadKind
from varmor.workload.bundle import Bundle, read_json, read_pid, strings
from varmor.workload.containerd import DOCKER_NAMESPACE, TASKS, configured_state, task_bundles
from varmor.workload.runtime import IdentityError, Place

_OWN_CONTAINERD = Path("/run/docker/containerd/daemon")
_DATA = Path("/var/lib/docker")
_CONFIG = Path("/etc/docker/daemon.json")
_SANDBOX_LABEL = ("io.kubernetes.docker.type", "podsandbox")


class Docker:
    """Docker of the node, whether it runs its own containerd or shares the node's."""

    name = "docker"

    def __init__(self, states: tuple[Path, ...] | None = None, data: Path | None = None) -> None:
        self._states = states or (_OWN_CONTAINERD, configured_state())
        self._data = data or _configured_data()

    def owns(self, bundle: Path) -> bool:
        """Whether the bundle is a task in Docker's namespace."""
        return any(bundle.parent == state / TASKS / DOCKER_NAMESPACE for state in self._states)

    def places(self) -> Iterator[Place]:
        """The tasks in Docker's namespace."""
        for state in self._states:
            for bundle in task_bundles(state):
                if bundle.parent.name == DOCKER_NAMESPACE:
                    yield Place(bundle, bundle.name, read_pid(bundle / "init.pid"))

    def describe(self, bundle: Bundle, container_id: str) -> Workload | None:
        """By ``<data>/containers/<id>/config.v2.json``."""
        file = self._data / "containers" / container_id / "config.v2.json"
        record = read_json(file)
        config = record.get("Config") if isinstance(record, dict) else None
        if not isinstance(config, dict):
            raise IdentityError(
                f"container {container_id}: {file} has no record of it; "
                f"if dockerd has another data-root, say so in {_CONFIG}"
            )
        labels = strings(config.get("Labels"))
        key, value = _SANDBOX_LABEL
        if labels.get(key) == value:
            return None
        return Workload(
            kind=WorkloadKind.CONTAINER,
            id=f"docker/{DOCKER_NAMESPACE}/{container_id}",
            name=str(record.get("Name") or container_id).lstrip("/"),
            image=str(config.get("Image") or ""),
            labels=labels,
            runtime=self.name,
            container_id=container_id,
            pod_name=labels.get("io.kubernetes.pod.name", ""),
            pod_namespace=labels.get("io.kubernetes.pod.namespace", ""),
            pod_uid=labels.get("io.kubernetes.pod.uid", ""),
        )


def _configured_data(config: Path = _CONFIG) -> Path:
    settings = read_json(config)
    root = settings.get("data-root") if isinstance(settings, dict) else None
    return Path(root) if isinstance(root, str) and root.startswith("/") else _DATA

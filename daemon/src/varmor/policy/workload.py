# SPDX-License-Identifier: Apache-2.0
"""A running thing that a policy may match, as plain facts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class WorkloadKind(enum.StrEnum):
    """The two kinds of workload on a node."""

    CONTAINER = "Container"
    UNIT = "Unit"


@dataclass(frozen=True, slots=True)
class Workload:
    """A container or a systemd unit.

    ``id`` is unique on the node: ``<runtime>/<namespace>/<container id>`` for a container, the unit name for a
    unit. ``name`` is what people call it
    (CRI container name, Docker or Podman name, containerd id). The ``pod_*`` fields are empty outside Kubernetes.
    """

    kind: WorkloadKind
    id: str
    name: str
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""
    container_id: str = ""
    pod_name: str = ""
    pod_namespace: str = ""
    pod_uid: str = ""

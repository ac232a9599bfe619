# SPDX-License-Identifier: Apache-2.0
"""A violation as a value, and as the line that people and collectors read.

Field names and meaning are upstream's; ``workloadKind``, ``unit``, ``attribution``, ``count``, ``folded`` and
``event.rule`` are additions.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from varmor.policy.types import PolicyKey
from varmor.policy.workload import Workload, WorkloadKind


class Action(enum.StrEnum):
    """What happened: refused; let pass and recorded; let pass by a profile in complain mode; a seccomp record."""

    DENIED = "DENIED"
    AUDIT = "AUDIT"
    ALLOWED = "ALLOWED"
    AUDIT_ALLOWED = "AUDIT|ALLOWED"


class Attribution(enum.StrEnum):
    """How the workload was found. ``PROFILE``: only the profile is known, or one workload carries it."""

    KERNEL = "kernel"
    CGROUP = "cgroup"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Violation:
    """One event that a rule denied or recorded. ``timestamp`` in seconds since the epoch; ``key`` tells which
    violations of a workload are the same but for process and time.
    """

    enforcer: str
    action: Action
    profile: str
    pid: int
    timestamp: float
    event: Mapping[str, Any]
    key: tuple[str, ...]
    summary: str
    comm: str = ""
    workload: Workload | None = None
    policy: PolicyKey | None = None
    mount_namespace: int = 0
    attribution: Attribution = Attribution.PROFILE
    count: int = 1
    folded: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def as_json(self, node: str, now: float) -> dict[str, Any]:
        """The object of a line in violations.log; ``now`` is when it is written."""
        workload = self.workload
        container = workload if workload is not None and workload.kind is WorkloadKind.CONTAINER else None
        line: dict[str, Any] = {
            "level": "warn",
            "metadata": dict(self.metadata),
            "nodeName": node,
            "podUID": container.pod_uid if container else "",
            "podName": container.pod_name if container else "",
            "podNamespace": container.pod_namespace if container else "",
            "containerID": container.container_id if container else "",
            "containerName": container.name if container else "",
            "image": container.image if container else "",
            "workloadKind": workload.kind.value if workload else "",
            "unit": workload.name if workload and container is None else "",
            "attribution": self.attribution.value,
            "pid": self.pid,
            "mntNsID": self.mount_namespace,
            "eventTimestamp": int(self.timestamp),
            "enforcer": self.enforcer,
            "action": self.action.value,
            "profileName": self.profile,
            "policyKind": self.policy.kind.value if self.policy else "",
            "policyName": self.policy.name if self.policy else "",
            "policyNamespace": self.policy.namespace if self.policy else "",
            "event": dict(self.event),
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "message": "violation event",
        }
        if self.folded:
            line |= {"count": self.count, "folded": self.folded}
        return line

    def line(self, node: str, now: float) -> str:
        """One line of JSON, without its newline."""
        return json.dumps(self.as_json(node, now), separators=(",", ":"), default=str)

    def sentence(self) -> str:
        """The same for people, in one line: ``DENIED by BPF: container web: write /etc/passwd (sh[12])``."""
        who = self.profile
        if self.workload is not None:
            who = f"{self.workload.kind.value.lower()} {self.workload.name}"
        policy = f", policy {self.policy}" if self.policy else ""
        times = f", {self.count} times ({self.folded})" if self.folded else ""
        return f"{self.action.value} by {self.enforcer}: {who}: {self.summary} ({self.comm}[{self.pid}]{policy}{times})"

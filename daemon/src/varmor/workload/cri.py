# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' identity of a container, from the annotations that the CRI implementations write into the bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping

from varmor.policy.workload import Workload, WorkloadKind

CONTAINERD_TYPE = "io.kubernetes.cri.container-type"
CRIO_TYPE = "io.kubernetes.cri-o.ContainerType"
_SANDBOX = "sandbox"


def is_sandbox(annotations: Mapping[str, str]) -> bool:
    """Whether the container only holds a pod's namespaces."""
    return _SANDBOX in (annotations.get(CONTAINERD_TYPE), annotations.get(CRIO_TYPE))


def from_containerd(annotations: Mapping[str, str], container_id: str, workload_id: str) -> Workload | None:
    """The container as containerd's CRI plugin annotated it; None when it did not."""
    name = annotations.get("io.kubernetes.cri.container-name")
    if annotations.get(CONTAINERD_TYPE) != "container" or name is None:
        return None
    pod = {key: annotations.get(f"io.kubernetes.cri.sandbox-{key}", "") for key in ("name", "namespace", "uid")}
    return Workload(
        kind=WorkloadKind.CONTAINER,
        id=workload_id,
        name=name,
        image=annotations.get("io.kubernetes.cri.image-name", ""),
        labels=_pod_labels(name, pod["name"], pod["namespace"], pod["uid"]),
        runtime="containerd",
        container_id=container_id,
        pod_name=pod["name"],
        pod_namespace=pod["namespace"],
        pod_uid=pod["uid"],
    )


def from_crio(annotations: Mapping[str, str], container_id: str) -> Workload:
    """The container as CRI-O annotated it."""
    labels = _object(annotations.get("io.kubernetes.cri-o.Labels", ""))
    name = labels.get("io.kubernetes.container.name") or annotations.get("io.kubernetes.container.name", "")
    return Workload(
        kind=WorkloadKind.CONTAINER,
        id=f"cri-o/k8s/{container_id}",
        name=name or container_id,
        image=annotations.get("io.kubernetes.cri-o.ImageName", ""),
        labels=labels,
        runtime="cri-o",
        container_id=container_id,
        pod_name=labels.get("io.kubernetes.pod.name", annotations.get("io.kubernetes.cri-o.KubeName", "")),
        pod_namespace=labels.get("io.kubernetes.pod.namespace", annotations.get("io.kubernetes.cri-o.Namespace", "")),
        pod_uid=labels.get("io.kubernetes.pod.uid", ""),
    )


def _pod_labels(container: str, pod: str, namespace: str, uid: str) -> dict[str, str]:
    """The labels that the kubelet gives every container, whatever the runtime keeps of them."""
    return {
        "io.kubernetes.container.name": container,
        "io.kubernetes.pod.name": pod,
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.uid": uid,
    }


def _object(text: str) -> dict[str, str]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(k): v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}

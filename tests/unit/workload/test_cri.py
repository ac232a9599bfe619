# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

from varmor.workload import cri

CONTAINER = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "app",
    "io.kubernetes.cri.image-name": "docker.io/library/nginx:1",
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": "u-1",
}


def test_containerd() -> None:
    found = cri.from_containerd(CONTAINER, "abc", "containerd/k8s.io/abc")
    assert found is not None
    assert (found.name, found.image, found.runtime) == ("app", "docker.io/library/nginx:1", "containerd")
    assert (found.pod_name, found.pod_namespace, found.pod_uid) == ("web-0", "shop", "u-1")
    assert found.labels["io.kubernetes.pod.name"] == "web-0"


def test_without_annotations_it_is_not_kubernetes() -> None:
    assert cri.from_containerd({}, "abc", "x") is None


def test_sandboxes_of_both() -> None:
    assert cri.is_sandbox({"io.kubernetes.cri.container-type": "sandbox"})
    assert cri.is_sandbox({"io.kubernetes.cri-o.ContainerType": "sandbox"})
    assert not cri.is_sandbox(CONTAINER)


def test_crio() -> None:
    labels = {
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": "web-0",
        "io.kubernetes.pod.namespace": "shop",
    }
    found = cri.from_crio(
        {"io.kubernetes.cri-o.Labels": json.dumps(labels), "io.kubernetes.cri-o.ImageName": "nginx:1"}, "abc"
    )
    assert (found.name, found.image, found.pod_name, found.pod_namespace) == ("app", "nginx:1", "web-0", "shop")
    assert cri.from_crio({"io.kubernetes.cri-o.Labels": "{broken"}, "abc").name == "abc"

# SPDX-License-Identifier: Apache-2.0
"""One control plane for the session, with our custom resource definitions; a namespace for each test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from tests.cluster import programs
from tests.cluster.client import Client
from tests.cluster.control_plane import ControlPlane
from tests.cluster.policies import Policies
from varmor.policy.crd import definitions

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane on which our definitions are established."""
    reason = programs.unavailable()
    if reason:
        pytest.skip(reason)
    with ControlPlane(tmp_path_factory.mktemp("cluster")) as plane:
        with contextlib.closing(plane.client()) as client:
            for made in definitions():
                reply = client.request("POST", f"{_CRDS}?fieldValidation=Strict", made)
                assert reply.accepted, reply.message
                _await_established(client, made["metadata"]["name"])
        yield plane


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[Client]:
    """A client of the API server."""
    with contextlib.closing(control_plane.client()) as client:
        yield client


@pytest.fixture
def policies(client: Client) -> Policies:
    """Policies in a namespace of their own."""
    namespace = f"test-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    assert client.request("POST", "/api/v1/namespaces", body).accepted
    return Policies(client, namespace)


def _await_established(client: Client, name: str) -> None:
    path = f"{_CRDS}?watch=1&timeoutSeconds=60&fieldSelector=metadata.name={name}"
    with contextlib.closing(client.watch(path)) as watch:
        for seen in watch:
            conditions = {each["type"]: each for each in seen.get("status", {}).get("conditions") or ()}
            if "NonStructuralSchema" in conditions:
                raise AssertionError(conditions["NonStructuralSchema"]["message"])
            if conditions.get("Established", {}).get("status") == "True":
                return
    raise AssertionError(f"{name} was not established in 60 s")

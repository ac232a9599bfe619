# SPDX-License-Identifier: Apache-2.0
"""Our objects on an API server: make, change, read."""

from __future__ import annotations

from typing import Any

from tests.cluster.client import TABLE, Client, Reply

_GROUP = "/apis/crd.varmor.org/v1beta1"
_PLURALS = {
    "VarmorPolicy": "varmorpolicies",
    "VarmorClusterPolicy": "varmorclusterpolicies",
    "ArmorProfile": "armorprofiles",
    "ArmorProfileModel": "armorprofilemodels",
}


class Policies:
    """The objects of one namespace, and those of the cluster. Unknown fields are refused, as kubectl asks for."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def create(self, manifest: dict[str, Any], *, dry: bool = False) -> Reply:
        """Make an object; ``dry`` only asks whether it would be accepted. Its own namespace is replaced by ours."""
        body = self._placed(manifest)
        query = "fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        return self._client.request("POST", f"{self._path(body)}?{query}", body)

    def replace(self, manifest: dict[str, Any], *, part: str = "") -> Reply:
        """Put an object, or its ``status``, in place of what is there."""
        body = self._placed(manifest)
        body["metadata"]["resourceVersion"] = self.get(body)["metadata"]["resourceVersion"]
        path = f"{self._path(body)}/{body['metadata']['name']}"
        return self._client.request("PUT", f"{path}/{part}".rstrip("/") + "?fieldValidation=Strict", body)

    def get(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """The object as the server has it."""
        body = self._placed(manifest)
        reply = self._client.request("GET", f"{self._path(body)}/{body['metadata']['name']}")
        assert reply.accepted, reply.message
        return reply.body

    def delete(self, manifest: dict[str, Any]) -> None:
        """Take the object away."""
        body = self._placed(manifest)
        reply = self._client.request("DELETE", f"{self._path(body)}/{body['metadata']['name']}")
        assert reply.accepted, reply.message

    def table(self, kind: str) -> tuple[list[str], list[list[Any]]]:
        """The table that ``kubectl get`` prints: its headings, and the cells of each object."""
        reply = self._client.request("GET", self._path({"kind": kind}), accept=TABLE)
        assert reply.accepted, reply.message
        headings = [column["name"] for column in reply.body["columnDefinitions"]]
        return headings, [row["cells"] for row in reply.body["rows"]]

    def _placed(self, manifest: dict[str, Any]) -> dict[str, Any]:
        metadata = {**manifest["metadata"]}
        metadata.pop("namespace", None)
        if manifest["kind"] != "VarmorClusterPolicy":
            metadata["namespace"] = self.namespace
        return {**manifest, "metadata": metadata}

    def _path(self, body: dict[str, Any]) -> str:
        plural = _PLURALS[body["kind"]]
        return (
            f"{_GROUP}/{plural}"
            if plural == "varmorclusterpolicies"
            else f"{_GROUP}/namespaces/{self.namespace}/{plural}"
        )

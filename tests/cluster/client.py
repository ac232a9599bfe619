# SPDX-License-Identifier: Apache-2.0
"""A client of the API server that does what the tests need: JSON over HTTPS, one connection."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. ``message`` is its own words where it refused."""

    status: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the request was carried out."""
        return self.status < 300

    @property
    def message(self) -> str:
        """The message of a refusal."""
        return str(self.body.get("message", ""))


class Client:
    """Requests in the name of the administrator. ``timeout`` is for each, in seconds."""

    def __init__(self, port: int, keys: Path, timeout: float = 60) -> None:
        context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def request(
        self, method: str, path: str, body: object = None, *, content: str = _JSON, accept: str = _JSON
    ) -> Reply:
        """One request and its answer.

        Raises:
            OSError: the server cannot be reached.
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, {"Content-Type": content, "Accept": accept})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        kind = answer.headers.get_content_type()
        return Reply(answer.status, json.loads(text) if kind == _JSON else {"message": text.decode()})

    def watch(self, path: str) -> Generator[dict[str, Any], None, None]:
        """The objects that events of a watch bring, until the server ends it."""
        self._connection.request("GET", path, headers={"Accept": _JSON})
        answer = self._connection.getresponse()
        try:
            for line in answer:
                yield json.loads(line)["object"]
        finally:
            answer.close()
            self._connection.close()

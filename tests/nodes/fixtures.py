# SPDX-License-Identifier: Apache-2.0
"""Nodes for pytest: ``pytest_plugins = ["tests.nodes.fixtures"]`` in a conftest.py makes them known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes.host import runnable
from tests.nodes.node import Node
from tests.nodes.nodeset import NodeSet


def _require_nodes() -> None:
    reason = runnable()
    if reason is not None:
        pytest.skip(f"test nodes cannot run here: {reason}")


@pytest.fixture
def node() -> Iterator[Node]:
    """A clone for one test: what the test breaks is gone afterwards."""
    _require_nodes()
    with NodeSet(["n1"]) as nodes:
        yield nodes["n1"]


@pytest.fixture(scope="session")
def shared_node() -> Iterator[Node]:
    """One clone for the whole session: for tests that clean up what they change."""
    _require_nodes()
    with NodeSet(["shared"]) as nodes:
        yield nodes["shared"]

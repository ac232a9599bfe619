# SPDX-License-Identifier: Apache-2.0
"""One node for most tests: converged once, cleared before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.control import converged
from tests.integration.protected import Protected
from tests.nodes import Node
from tests.nodes.nodeset import state_root

pytest_plugins = ["tests.nodes.fixtures"]


@pytest.fixture(scope="session")
def converged_node(request: pytest.FixtureRequest) -> Node:
    """A node after site.yml.

    With ``VARMOR_TEST_NODE`` in the environment it is the running node of that name, as it stands: to try a test
    again without the two minutes that a new node takes.
    """
    kept = os.environ.get("VARMOR_TEST_NODE")
    if kept:
        return Node.load(state_root() / kept)
    node: Node = request.getfixturevalue("shared_node")
    converged(node)
    return node


@pytest.fixture
def protected(converged_node: Node) -> Iterator[Protected]:
    """The converged node without any policy or workload; what the daemon logged is shown when a test fails."""
    made = Protected(converged_node)
    made.clear()
    yield made
    print(converged_node.run("journalctl -u varmord -n 40 --no-pager", check=False).stdout)

# SPDX-License-Identifier: Apache-2.0
"""One node for most tests: converged once, cleared before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.control import converged
from tests.integration.protected import Protected
from tests.nodes import Node

pytest_plugins = ["tests.nodes.fixtures"]


@pytest.fixture(scope="session")
def converged_node(shared_node: Node) -> Node:
    """A node after site.yml, with ctr's containers to be started by the wrapper."""
    converged(shared_node)
    return shared_node


@pytest.fixture
def protected(converged_node: Node) -> Iterator[Protected]:
    """The converged node without any policy or workload; what the daemon logged is shown when a test fails."""
    made = Protected(converged_node)
    made.clear()
    yield made
    print(converged_node.run("journalctl -u varmord -n 40 --no-pager", check=False).stdout)

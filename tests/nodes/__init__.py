# SPDX-License-Identifier: Apache-2.0
"""Test nodes: throw-away Debian machines under QEMU, and a light guest for single commands.

``python -m tests.nodes --help`` lists the commands. A node has systemd, sshd, containerd, AppArmor and BPF-LSM on a
stock kernel, and no way out to any network. Its images carry Debian's static busybox: call its ``wget`` under
``timeout``, since its own option ``-T`` crashes in Debian 12.
"""

from __future__ import annotations

from tests.nodes.errors import CommandError, NodeError, NodeTimeoutError
from tests.nodes.guest import GuestOptions, GuestResult, run_guest
from tests.nodes.host import runnable
from tests.nodes.node import Node
from tests.nodes.nodeset import NodeSet

__all__ = [
    "CommandError",
    "GuestOptions",
    "GuestResult",
    "Node",
    "NodeError",
    "NodeSet",
    "NodeTimeoutError",
    "run_guest",
    "runnable",
]

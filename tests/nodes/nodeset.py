# SPDX-License-Identifier: Apache-2.0
"""Several nodes at once, gone when the block ends; and what earlier processes left behind."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.nodes.errors import NodeError
from tests.nodes.node import Node
from tests.nodes.progress import say

_AT_ONCE = 2


def state_root() -> Path:
    """Where nodes have their folders: ``$VARMOR_NODES`` or /run/varmor-nodes."""
    return Path(os.environ.get("VARMOR_NODES", "/run/varmor-nodes")).resolve()


def nodes_in(root: Path) -> list[Node]:
    """The nodes whose folders lie in ``root``, by name."""
    return [Node.load(path.parent) for path in sorted(root.glob("*/node.json"))]


def start_nodes(names: Sequence[str], root: Path, *, suite: str = "bookworm", cmdline: str = "") -> list[Node]:
    """Start nodes in ``root``, two at a time; what runs already under its name is taken as it is."""
    if len(set(names)) != len(names):
        raise NodeError(f"node names must differ; found {' '.join(names)}")

    def start(name: str) -> Node:
        folder = root / name
        if (folder / "node.json").exists():
            node = Node.load(folder)
            if node.is_running():
                say(f"node {name}: it runs already")
                return node
            node.stop()
        node = Node.start(name, folder, suite=suite, cmdline=cmdline)
        say(f"node {name}: up, ssh on port {node.port}")
        return node

    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(start, names))


def stop_nodes(nodes: Sequence[Node]) -> None:
    """Stop and forget nodes, every one of them, even when one cannot be stopped; then raise that fault."""
    faults: list[NodeError] = []
    for node in nodes:
        try:
            node.stop()
        except NodeError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


class NodeSet:
    """``with NodeSet(["n1"]) as nodes: nodes["n1"].run(...)``: clones of its own, removed at the end."""

    def __init__(self, names: Sequence[str], *, suite: str = "bookworm", cmdline: str = "") -> None:
        self._names = list(names)
        self._suite = suite
        self._cmdline = cmdline
        self._nodes: dict[str, Node] = {}
        self._folder = state_root() / "sets" / f"{os.getpid()}-{os.urandom(4).hex()}"

    def __enter__(self) -> Self:
        sweep()
        _exit_on_sigterm()
        self._folder.mkdir(parents=True)
        (self._folder / "owner").write_text(json.dumps([os.getpid(), start_time(os.getpid())]))
        try:
            started = start_nodes(self._names, self._folder, suite=self._suite, cmdline=self._cmdline)
        except BaseException:
            self._remove()
            raise
        self._nodes = {node.name: node for node in started}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def inventory(self) -> str:
        """The nodes as an Ansible inventory."""
        return inventory(list(self))

    def _remove(self) -> None:
        _remove_set(self._folder)


def _exit_on_sigterm() -> None:
    """Let a request to end unwind the blocks that remove nodes, where nothing else handles it."""
    ours = threading.current_thread() is threading.main_thread()
    if ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))


def sweep() -> None:
    """Remove the sets whose owner has died."""
    for folder in (state_root() / "sets").glob("*"):
        try:
            pid, started = json.loads((folder / "owner").read_text())
        except (FileNotFoundError, ValueError):
            continue
        if start_time(pid) != started:
            say(f"nodes: removing what the dead process {pid} left")
            _remove_set(folder)


def _remove_set(folder: Path) -> None:
    stop_nodes(nodes_in(folder))
    shutil.rmtree(folder, ignore_errors=True)


def start_time(pid: int) -> int:
    """The process's start time in clock ticks since boot; 0 when it is not there."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def inventory(nodes: Sequence[Node]) -> str:
    """An Ansible inventory (YAML) with all ``nodes`` in the group ``all``."""
    return inventory_text({node.name: node.inventory_entry() for node in nodes})


def inventory_text(hosts: dict[str, dict[str, str | int]]) -> str:
    """The YAML of an inventory; a JSON string is a YAML string, so every value is quoted by JSON."""
    if not hosts:
        return "all:\n  hosts: {}\n"
    lines = ["all:", "  hosts:"]
    for name, variables in hosts.items():
        lines.append(f"    {name}:")
        lines += [f"      {key}: {json.dumps(value)}" for key, value in variables.items()]
    return "\n".join(lines) + "\n"

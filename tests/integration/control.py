# SPDX-License-Identifier: Apache-2.0
"""The control node's side of the tests: playbooks and single modules by Ansible, over ssh."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts import collection
from tests.nodes import Node

BIN = collection.ROOT / ".venv" / "bin"


@dataclass(frozen=True, slots=True)
class Play:
    """What a playbook run gave."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """Number of changed tasks in the recap of the one host."""
        return int(re.findall(r"changed=(\d+)", self.output)[-1])


@contextmanager
def _inventory(node: Node, variables: dict[str, Any]) -> Iterator[str]:
    host = {**node.inventory_entry(), **variables}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.yml"
        path.write_text(yaml.safe_dump({"varmor_nodes": {"hosts": {node.name: host}}}), encoding="utf-8")
        yield str(path)


def _run(words: list[str]) -> Play:
    done = subprocess.run(
        words,
        cwd=collection.ROOT,
        env={**collection.environment(), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Play(done.returncode, done.stdout + done.stderr)


def playbook(node: Node, name: str = "site.yml", *options: str, **variables: Any) -> Play:
    """Run a playbook of the collection against one node."""
    with _inventory(node, variables) as inventory:
        return _run([str(BIN / "ansible-playbook"), "-i", inventory, f"playbooks/{name}", *options])


def converged(node: Node, **variables: Any) -> None:
    """Run site.yml; its output is the failure's text when it fails."""
    play = playbook(node, **variables)
    assert play.status == 0, play.output


def module(node: Node, module_name: str, /, *options: str, **arguments: Any) -> dict[str, Any]:
    """Run one module of the collection and return its result, failed or not."""
    words = ["all", "-m", f"varmor.fleet.{module_name}", "-a", json.dumps(arguments), *options]
    with _inventory(node, {}) as inventory:
        play = _run([str(BIN / "ansible"), "-i", inventory, *words])
    match = re.search(r"=> (\{.*\})", play.output, re.DOTALL)
    assert match, play.output
    result: dict[str, Any] = json.JSONDecoder().raw_decode(match.group(1))[0]
    return {"failed": "FAILED!" in play.output, **result}

# SPDX-License-Identifier: Apache-2.0
"""`make demo`: boot a node, attack it, run site.yml, attack it again, show what was recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from scripts import collection, dist
from scripts.demo import attacks, scene
from scripts.demo.attacks import Attack, Attempt
from tests.nodes import Node, NodeSet

ROOT = collection.ROOT
POLICIES = ("nginx-container.yaml", "nginx-unit.yaml")


class DemoError(Exception):
    """Something did not happen as it should; the demonstration fails."""


class Show:
    """Tells what happens, with the seconds since the start: a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A piece of work that takes a while."""
        if not self.console.is_terminal:
            self.console.print(f"[{self._elapsed()}] {text}", markup=False)
            yield
            return
        with self.console.status(text):
            yield
        self.console.print(f"[{self._elapsed()}] {text}", markup=False)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._started:5.1f} s"


def strike_all(node: Node, show: Show, title: str) -> list[Attempt]:
    """Try a legitimate request on both workloads, then every attack; one line each."""
    for name, port in (("container", scene.CONTAINER_PORT), ("unit", scene.UNIT_PORT)):
        status, body = scene.ask(node, "GET", port, "/")
        if (status, body) != (200, scene.PAGE):
            raise DemoError(f"the {name} does not serve its page: {status} {body}")
    table = Table("attack", "on", "result", "evidence", title=title, title_justify="left")
    table.add_row("a legitimate request", "both", "served", "GET / -> 200")
    attempts = []
    for attack in attacks.ALL:
        attempt = attack.strike(node)
        attempts.append(attempt)
        table.add_row(attack.title, attack.workload, "SUCCEEDED" if attempt.succeeded else "stopped", attempt.evidence)
    show.console.print(table)
    return attempts


def converge(node: Node) -> None:
    """Run site.yml against the node."""
    policies = [yaml.safe_load((ROOT / "examples" / name).read_text(encoding="utf-8")) for name in POLICIES]
    host: dict[str, Any] = {**node.inventory_entry(), "node_policies": policies}
    inventory = {"varmor_nodes": {"hosts": {node.name: host}}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.yml"
        path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(path), "playbooks/site.yml"]
        subprocess.run(command, cwd=ROOT, env=collection.environment(), stdin=subprocess.DEVNULL, check=True)


def evidence(found: list[dict[str, Any]], attack: Attack) -> dict[str, Any] | None:
    """The line that records an attack: its enforcer, on its kind of workload, refused."""
    kind = "Unit" if attack.workload == "unit" else "Container"
    for line in found:
        if (line["enforcer"], line["action"], line["workloadKind"]) != (attack.enforcer, "DENIED", kind):
            continue
        if line["event"].get("rule", attack.rule) == attack.rule:
            return line
    return None


def show_records(node: Node, show: Show) -> None:
    """Show one line of violations.log for each attack; fail when one is missing."""
    show.console.print("\n/var/log/varmor/violations.log, one line for each attack:")
    deadline = time.monotonic() + 30
    while True:
        found = scene.violations(node)
        records = [evidence(found, attack) for attack in attacks.ALL]
        if all(records) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for attack, record in zip(attacks.ALL, records, strict=True):
        if record is None:
            raise DemoError(f"no record of: {attack.title} ({attack.enforcer}); the log holds {found}")
        who = record.get("unit") or record["containerName"]
        show.console.print(
            f"  {record['action']} {record['enforcer']:<8} {record['policyKind']} {record['policyName']} on {who}, "
            f"pid {record['pid']}: {record['event']}",
            markup=False,
        )


def demonstrate(node: Node, show: Show) -> None:
    """The whole play on a running node."""
    with show.step("nginx starts as a container and as a unit, without any policy"):
        scene.prepare(node)
        scene.start_container(node)
        scene.start_unit(node)
    before = strike_all(node, show, "Without a policy")
    scene.stop_workloads(node)
    failed = [attack.title for attack, attempt in zip(attacks.ALL, before, strict=True) if not attempt.succeeded]
    if failed:
        raise DemoError(f"without a policy these attacks should succeed: {failed}")
    with show.step("ansible-playbook site.yml takes the daemon and two policies to the node"):
        converge(node)
    with show.step("nginx starts again, confined from its first instruction"):
        scene.start_container(node)
        scene.start_unit(node)
    after = strike_all(node, show, "With the policies")
    passed = [attack.title for attack, attempt in zip(attacks.ALL, after, strict=True) if attempt.succeeded]
    if passed:
        raise DemoError(f"with the policies these attacks should be stopped: {passed}")
    show_records(node, show)
    show.console.print("\nvarmor status:\n" + node.run("varmor status", check=False).stdout, markup=False)


def main() -> int:
    """Entry point: 0 when everything happened as it should."""
    show = Show()
    with show.step("the package for nodes is built"):
        dist.build("bookworm", ROOT / "dist")
    name = f"demo-{os.getpid()}"
    try:
        with NodeSet([name]) as nodes:
            demonstrate(nodes[name], show)
    except DemoError as error:
        show.console.print(f"FAILED: {error}", markup=False)
        return 1
    show.console.print("Done: five attacks succeeded without the policies and were stopped with them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

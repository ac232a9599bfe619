# SPDX-License-Identifier: Apache-2.0
"""A node that the role has been applied to, and what tests do on it."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
from typing import Any

import yaml

from tests.nodes import Node

PAST_THE_WRAPPER = ("--runc-binary", "/usr/sbin/runc")


def policy(name: str, target: dict[str, Any], enforcer: str = "AppArmorBPFSeccomp", **rules: Any) -> dict[str, Any]:
    """A manifest in mode EnhanceProtect that denies and records."""
    return {
        "apiVersion": "crd.varmor.org/v1beta1",
        "kind": "VarmorPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "target": target,
            "policy": {
                "enforcer": enforcer,
                "mode": "EnhanceProtect",
                "enhanceProtect": {"auditViolations": True, **rules},
            },
        },
    }


class Protected:
    """The daemon of a node, seen by an operator."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._executions = itertools.count(1)

    def reload(self) -> subprocess.CompletedProcess[str]:
        """Have the manifests read now."""
        return self.node.run(["varmor", "reload"], check=False, timeout=120)

    def write(self, *manifests: dict[str, Any], file: str = "test.yaml") -> None:
        """Put manifests on the node and wait until they are in force."""
        self.node.put_text(yaml.safe_dump_all(manifests), f"/etc/varmor/policies.d/{file}")
        done = self.reload()
        assert done.returncode == 0, done.stderr

    def clear(self) -> None:
        """Remove all policies, containers and test units, and forget what was recorded."""
        self.node.run("rm -f /etc/varmor/policies.d/*", check=False)
        self.node.run(
            "for c in $(ctr container list -q); do"
            " ctr task kill -s KILL $c; ctr task delete -f $c; ctr container delete $c; done >/dev/null 2>&1;"
            " systemctl stop nginx.service 'test-*.service'; systemctl reset-failed",
            check=False,
        )
        self.reload()
        self.node.run("truncate --size 0 /var/log/varmor/violations.log", check=False)

    def status(self) -> dict[str, Any]:
        """The daemon's status."""
        found: dict[str, Any] = json.loads(self.node.run(["varmor", "status", "--json"], check=False).stdout)
        return found

    def state(self, name: str) -> dict[str, Any]:
        """The status of one policy."""
        return next(entry for entry in self.status()["policies"] if entry["name"] == name)

    def violations(self) -> list[dict[str, Any]]:
        """All lines of violations.log."""
        text = self.node.run("cat /var/log/varmor/violations.log", check=False).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_for_violation(self, **wanted: str) -> dict[str, Any]:
        """The newest line whose fields have these values, as soon as there is one."""
        words = " ".join(f"{key}={value}" for key, value in wanted.items())
        script = (
            "import json,sys; w=dict(a.split('=',1) for a in sys.argv[1:]);"
            "l=[json.loads(x) for x in open('/var/log/varmor/violations.log')];"
            "f=[r for r in l if all(str({**r['event'], **r}.get(k))==v for k,v in w.items())];"
            "print(json.dumps(f[-1])) if f else sys.exit('no line with '+' '.join(sys.argv[1:]))"
        )
        done = self.node.wait_until(shlex.join(["python3", "-c", script, *words.split(" ")]), timeout=20)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start(self, name: str, *words: str, options: tuple[str, ...] = (), wrapper: bool = True) -> None:
        """Start a detached busybox container."""
        runtime = () if wrapper else PAST_THE_WRAPPER
        command = ["ctr", "run", "--detach", *runtime, *options, "localhost/busybox:1", name]
        self.node.run(shlex.join([*command, *(words or ("sleep", "1000"))]) + " </dev/null")

    def execute(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a running container."""
        command = ["ctr", "task", "exec", "--exec-id", f"e{next(self._executions)}", name, *words]
        return self.node.run(shlex.join(command) + " </dev/null", check=False)

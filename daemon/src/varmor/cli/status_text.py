# SPDX-License-Identifier: Apache-2.0
"""The daemon's status for people: what is enforced, on what, and why something is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def render(status: dict[str, Any]) -> str:
    """The whole status as text, problems in the same words as in its JSON form."""
    return "\n".join([*_node(status), "", *_enforcers(status), "", *_policies(status), *_errors(status)])


def _node(status: dict[str, Any]) -> Iterator[str]:
    node = status["node"]
    yield f"node {node['name']}, varmord {node['version']}, kernel {node['kernel']}, up since {node['started']}"
    violations = status.get("violations", {})
    yield f"violations recorded {violations.get('recorded', 0)}, lost {violations.get('lost', 0)}"
    yield from _conditions(node.get("conditions", []), indent="")


def _conditions(conditions: list[dict[str, Any]], indent: str) -> Iterator[str]:
    for condition in conditions:
        if condition["status"] != "True":
            yield f"{indent}{condition['type']}=False ({condition['reason']}): {condition['message']}"


def _enforcers(status: dict[str, Any]) -> Iterator[str]:
    for name, support in status["enforcers"].items():
        yield f"{name:<9} {'available' if support['ok'] else 'NOT AVAILABLE: ' + support['reason']}"
    if not status["audit"]["ok"]:
        yield f"violations of AppArmor and seccomp are NOT RECORDED: {status['audit']['reason']}"


def _policies(status: dict[str, Any]) -> Iterator[str]:
    if not status["policies"]:
        yield "no policies; write one to /etc/varmor/policies.d or use the module varmor.fleet.policy"
    for policy in status["policies"]:
        scope = f"{policy['namespace']}/" if policy["namespace"] else ""
        revision = f"revision {policy['revision']['number']}" if policy["revision"] else "no revision"
        yield (
            f"{policy['phase']:<10} {policy['kind']} {scope}{policy['name']}: {policy['enforcer'] or '-'} "
            f"{policy['mode']}, {revision}, target {policy['target'] or '-'}"
        )
        yield from _conditions(policy["conditions"], indent="  ")
        yield from _workloads(policy["workloads"])
        if not policy["workloads"]:
            yield "  no workload matches now"


def _workloads(workloads: list[dict[str, Any]]) -> Iterator[str]:
    for workload in workloads:
        has = ", ".join(f"{name} {state}" for name, state in workload["enforcers"].items())
        running = "" if workload["running"] else " (not running)"
        yield f"  {workload['kind'].lower()} {workload['name']}{running}: {has}"


def _errors(status: dict[str, Any]) -> Iterator[str]:
    for error in status["errors"]:
        yield f"ERROR {error}"

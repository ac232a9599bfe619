# SPDX-License-Identifier: Apache-2.0
"""Five attacks on the demonstration's nginx, at least one for each enforcer, each with a test of its success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scripts.demo import scene
from tests.nodes import Node


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attack achieved, in one line of evidence."""

    succeeded: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: where it strikes, which enforcer and rule should stop it, and how it is done."""

    title: str
    workload: str
    enforcer: str
    rule: str
    strike: Callable[[Node], Attempt]


def _plant_cron_job(node: Node) -> Attempt:
    status, _body = scene.ask(node, "PUT", scene.CONTAINER_PORT, "/upload/cron.d/backdoor", "* * * * * root id")
    return Attempt(status in (201, 204), f"PUT /upload/cron.d/backdoor -> {status}")


def _steal_token(node: Node) -> Attempt:
    path = "/read/run/secrets/kubernetes.io/serviceaccount/token"
    status, body = scene.ask(node, "GET", scene.UNIT_PORT, path)
    return Attempt(scene.TOKEN in body, f"GET {path} -> {status}")


def _fetch_metadata(node: Node) -> Attempt:
    status, body = scene.ask(node, "GET", scene.UNIT_PORT, "/fetch/credentials")
    return Attempt(scene.CREDENTIALS in body, f"GET /fetch/credentials -> {status}")


def _open_shell(node: Node) -> Attempt:
    code, output = scene.inside(node, "/bin/sh", "-c", "echo owned")
    return Attempt(code == 0 and "owned" in output, f"sh -c 'echo owned' -> {_last(output)}")


def _new_user_namespace(node: Node) -> Attempt:
    code, output = scene.inside(node, "unshare", "--user", "true")
    return Attempt(code == 0, f"unshare --user true -> {_last(output) or code}")


def _last(output: str) -> str:
    return output.splitlines()[-1][-90:] if output else ""


ALL = (
    Attack("plant a cron job through the upload hole", "container", "AppArmor", "disable-write-etc", _plant_cron_job),
    Attack("steal the service account's token", "unit", "AppArmor", "mitigate-sa-leak", _steal_token),
    Attack(
        "fetch the cloud's credentials by proxy", "unit", "BPF", "block-access-to-metadata-service", _fetch_metadata
    ),
    Attack("open a shell", "container", "BPF", "disable-shell", _open_shell),
    Attack("make a user namespace", "container", "Seccomp", "disallow-create-user-ns", _new_user_namespace),
)

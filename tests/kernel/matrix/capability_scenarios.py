# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the rules about capabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.kernel.matrix.calls import in_child, only, own_namespace
from tests.kernel.matrix.capability_steps import (
    IDLE,
    IN_NAMESPACE,
    OPERATIONS,
    OTHER_WAYS,
    STRANGER,
    strangers_file,
    work,
)
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step
from varmor.catalog.capabilities import NAMES


def setup(stage: Stage) -> None:
    """What the operations need: files of another user."""
    stage.values["stranger"] = strangers_file(stage)
    stage.values["closed"] = strangers_file(stage, 0, "stranger/closed")
    folder = stage.folder("closed")
    os.chown(folder, STRANGER, STRANGER)
    folder.chmod(0)
    stage.values["closed_folder"] = folder


def _alone(name: str) -> Step:
    def step(stage: Stage) -> None:
        only(name)
        OPERATIONS[name](stage)

    return step


def _inside(name: str) -> Step:
    flags, operation = IN_NAMESPACE[name]
    return lambda stage: own_namespace(flags, lambda: operation(stage))


# Made without further preparation by their capability alone; the alternatives would need others as well.
_NOT_ALONE = {"fsetid", "mac_admin", "sys_ptrace", "ipc_lock"}


def neighbour(*names: str) -> Step:
    """Everyday work, then operations of these capabilities."""

    def step(stage: Stage) -> None:
        work(stage)
        for name in names:
            in_child(lambda: OPERATIONS[name](stage))  # noqa: B023 - runs at once

    return step


def single(name: str) -> Scenario:
    """The scenario of ``disable-cap-...`` for one capability."""
    ways: dict[str, Step | Evasion] = dict(OTHER_WAYS.get(name, {}))
    if name not in _NOT_ALONE and name not in IDLE:
        ways["with no other capability"] = _alone(name)
    if name in IN_NAMESPACE:
        ways["in a user namespace"] = _inside(name)
    others = [other for other in ("chown", "setuid", "sys_chroot") if other != name][:2]
    return Scenario(
        attack=OPERATIONS[name],
        neighbour=neighbour(*others),
        evasions={} if name in IDLE else ways,
        setup=setup,
        empty=IDLE.get(name, ""),
    )


def several(attacks: Mapping[str, Step], neighbours: tuple[str, ...]) -> Scenario:
    """The scenario of a rule about a set of capabilities: the first is the attack, the rest its evasions."""
    first, *rest = attacks
    return Scenario(
        attack=attacks[first],
        neighbour=neighbour(*neighbours),
        evasions={name: attacks[name] for name in rest},
        setup=setup,
    )


def operations(*without: str) -> dict[str, Step]:
    """All operations but those of some capabilities, and those that nobody uses."""
    return {name: step for name, step in OPERATIONS.items() if name not in without and name not in IDLE}


UNPRIVILEGED = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
    "sys_chroot", "mknod", "audit_write", "setfcap",
)  # fmt: skip

SCENARIOS: dict[str, Scenario] = {
    **{f"disable-cap-{name.replace('_', '-')}": single(name) for name in NAMES},
    "disable-cap-all": several(operations(), ()),
    "disable-cap-all-except-net-bind-service": several(operations("net_bind_service"), ("net_bind_service",)),
    "disable-cap-privileged": several(operations(*UNPRIVILEGED), UNPRIVILEGED),
}

# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of a scenario, free or confined, in a process with a mount namespace of its own."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.matrix.calls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
from tests.kernel.matrix.scenario import Scenario, Stage, Step

_LONGEST_STEP = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the steps ended: empty when a step worked, an errno's name, or ``!`` and a traceback."""

    results: Mapping[str, str]
    failure: str = ""


def play(
    scenario: Scenario,
    stage: Stage,
    steps: Mapping[str, Step],
    confine: Callable[[], None],
    confirm: Callable[[], object],
) -> Outcome:
    """Prepare the stage in a child, ``confine`` the child, let the caller ``confirm``, then run each step in a fork."""
    result_read, result_write = os.pipe()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(go_write)
            os.close(result_read)
            _prepare(scenario, stage)
            confine()
            os.write(result_write, b"!")
            os.read(go_read, 1)
            _report(result_write, {"results": {name: run_step(step, stage) for name, step in steps.items()}})
        except BaseException:  # noqa: BLE001 - nothing may return into the test
            _report(result_write, {"failure": traceback.format_exc()})
        os._exit(0)
    os.close(result_write)
    os.close(go_read)
    try:
        first = os.read(result_read, 1)
        if first == b"!":
            confirm()
        os.write(go_write, b"!")
        said = b"" if first == b"!" else first
        while part := os.read(result_read, 65536):
            said += part
    finally:
        os.close(result_read)
        os.close(go_write)
        os.waitpid(child, 0)
        scenario.teardown(stage)
    report = json.loads(said or b'{"failure": "the process ended early"}')
    return Outcome(report.get("results", {}), report.get("failure", ""))


def _prepare(scenario: Scenario, stage: Stage) -> None:
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("none", stage.directory, "tmpfs", data="mode=755")
    scenario.setup(stage)


def _report(descriptor: int, report: Mapping[str, object]) -> None:
    data = json.dumps(report).encode()
    while data:
        data = data[os.write(descriptor, data) :]


def run_step(step: Step, stage: Stage) -> str:
    """Run a step in a forked child; how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with contextlib.suppress(BaseException):
            signal.alarm(_LONGEST_STEP)
            os.write(write, _outcome(step, stage).encode())
        os._exit(0)
    os.close(write)
    said = b""
    with contextlib.suppress(InterruptedError):
        while part := os.read(read, 65536):
            said += part
    os.close(read)
    _pid, status = os.waitpid(child, 0)
    return said.decode() if said else f"! the step ended with {status:#x}"


def _outcome(step: Step, stage: Stage) -> str:
    try:
        step(stage)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        return f"-{name}"
    except BaseException:  # noqa: BLE001 - the caller judges it
        return f"! {traceback.format_exc()}"
    return "+"


def refused(result: str, scenario: Scenario) -> bool:
    """Whether a step was refused."""
    return any(result == f"-{errno.errorcode[number]}" for number in scenario.refused)


def worked(result: str) -> bool:
    """Whether a step did what it is for."""
    return result == "+"


def enter_cgroup(folder: Path) -> Callable[[], None]:
    """What puts the calling process into a cgroup, whatever is mounted over the hierarchy by then."""
    descriptor = os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def enter() -> None:
        os.write(descriptor, b"0")

    return enter

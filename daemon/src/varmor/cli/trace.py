# SPDX-License-Identifier: Apache-2.0
"""``varmor trace``: who in a workload makes a call, or is refused one, with the functions that lead to it."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from varmor.cli import client
from varmor.errors import VarmorError
from varmor.kernel.bpf import cgroup
from varmor.kernel.trace.program import UNKNOWN, Caller, CallTrace, TraceError, tracing
from varmor.policy.nearest import did_you_mean
from varmor.profile.seccomp_names import calls, names, number

_ABIS = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_REFRESH_SECONDS = 0.1
_PID = "pid:"


class WorkloadError(VarmorError):
    """The workload to trace is not known, or there are several."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("workload", help="a name or id of `varmor status`, or pid:NUMBER")
    parser.add_argument("call", nargs="*", help="names of system calls; none with --denied: all")
    parser.add_argument("--denied", action="store_true", help="only calls that gave EPERM or EACCES")
    parser.add_argument(
        "--seconds", type=float, default=10, help="how long (default: %(default)s); Ctrl-C ends it sooner"
    )
    parser.add_argument("--callers", type=int, default=20, help="how many to show (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one object of JSON for each caller")
    parser.add_argument("--socket", type=Path, default=client.DEFAULT_SOCKET, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Trace and show.

    Raises:
        TraceError: it is not possible here, or nothing is asked for.
        WorkloadError: the workload is not known.
    """
    if os.geteuid() != 0:
        raise TraceError("only root can trace")
    if not arguments.call and not arguments.denied:
        raise TraceError("name at least one system call, or use --denied for all that are refused")
    wanted = [_number(name) for name in arguments.call]
    path = cgroup_of(_pid(arguments.workload, arguments.socket))
    with tracing(cgroup.id_of(path), depth(path), wanted, denied=arguments.denied) as trace:
        _wait(trace, arguments.seconds)
        callers, lost = trace.callers(), trace.lost()
    shown = callers[: arguments.callers]
    for line in map(as_json, shown) if arguments.json else as_text(shown):
        print(line)
    _summary(len(callers) - len(shown), lost)
    return 0


def _number(name: str) -> int:
    found = number(name, _abi())
    if found is None:
        raise TraceError(f"{name!r} is no system call of this machine{did_you_mean(name, names())}")
    return found


def _abi() -> str:
    machine = platform.machine()
    if machine not in _ABIS:
        raise TraceError(f"tracing knows {', '.join(_ABIS)}, this machine is {machine}")
    return _ABIS[machine]


def _pid(workload: str, socket: Path) -> int:
    """A process of the workload."""
    if workload.startswith(_PID):
        digits = workload.removeprefix(_PID)
        if not digits.isdecimal():
            raise WorkloadError(f"{workload!r}: expected {_PID} and the number of a process")
        return int(digits)
    status = client.request("status", socket_path=socket)
    return running(workload, status["policies"])


def running(workload: str, policies: list[dict[str, Any]]) -> int:
    """The process of the one running workload with this name, or with an id that begins so, in a status.

    Raises:
        WorkloadError: there is none, or several.
    """
    known = {item["id"]: item for policy in policies for item in policy["workloads"] if item["running"]}
    found = [item for item in known.values() if item["name"] == workload or item["id"].startswith(workload)]
    if len(found) == 1:
        return int(found[0]["pid"])
    if found:
        ids = ", ".join(item["id"][:20] for item in found)
        raise WorkloadError(f"{workload!r} is the name of {len(found)} workloads; give one of their ids: {ids}")
    near = did_you_mean(workload, [item["name"] for item in known.values()])
    raise WorkloadError(
        f"no running workload with a policy is called {workload!r}{near}; see `varmor status`, or use {_PID}NUMBER"
    )


def cgroup_of(pid: int) -> str:
    """The path of a process's cgroup in the unified hierarchy.

    Raises:
        WorkloadError: there is no such process, or it is in the root, where everything else is too.
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError as error:
        raise WorkloadError(f"process {pid}: {error.strerror}") from error
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    if path == "/":
        raise WorkloadError(
            f"process {pid} is in the root of the cgroups: a trace of it would be one of the whole node"
        )
    return path


def depth(path: str) -> int:
    """How deep a cgroup is; the root's depth is 0."""
    return len([part for part in path.split("/") if part])


def _wait(trace: CallTrace, seconds: float) -> None:
    """Until the time is over or somebody has seen enough."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < deadline:
            trace.refresh()
            time.sleep(_REFRESH_SECONDS)


def _name(call: int) -> str:
    return calls(_abi()).get(call, f"call {call}")


def _result(result: int) -> str:
    return errno.errorcode.get(-result, str(result)) if result < 0 else str(result)


def as_json(caller: Caller) -> str:
    """A caller as a line."""
    frames = [asdict(frame) for frame in caller.frames]
    values = {**asdict(caller), "call": _name(caller.call), "result": _result(caller.result), "frames": frames}
    return json.dumps(values)


def as_text(callers: list[Caller]) -> Iterator[str]:
    """Callers for people."""
    for caller in callers:
        yield f"{caller.count} x {_name(caller.call)} = {_result(caller.result)} by {caller.comm}[{caller.pid}]"
        if all(frame.name == UNKNOWN for frame in caller.frames):
            yield "    (it ended before its functions could be named)"
            continue
        for frame in caller.frames:
            yield f"    {frame.name if frame.name != UNKNOWN else hex(frame.address)}"


def _summary(more: int, lost: int) -> None:
    if more > 0:
        print(f"{more} more callers; see --callers", file=sys.stderr)
    if lost:
        print(f"{lost} calls of further callers are not counted: there was no room", file=sys.stderr)

# SPDX-License-Identifier: Apache-2.0
"""The part that runs inside the guest, as root. Prints one object of JSON; times are instructions.

``python -m bench.scale.guest PROGRAM CONTAINERS PROFILES RULES``: PROGRAM is the compiled bench/calls/calls.c.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from bench.calls.guest import CGROUPS, MIDDLE, REPETITIONS, loaded, prepare, run_in_cgroup
from bench.calls.rule_sets import patterns
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.profile.types import Access, BpfProfile, PathRule


def _slot(number: int) -> str:
    return f"varmor-scale-{number}"


def _profile(number: int, rules: int) -> BpfProfile:
    """Each profile has rules of its own: a window of the endless series."""
    chosen = patterns((number + 1) * rules)[-rules:]
    access = Access.READ | Access.WRITE
    return BpfProfile(
        paths=tuple(PathRule(pattern, access, deny=True, audit=False, origin="scale") for pattern in chosen)
    )


def _container(number: int) -> Path:
    return CGROUPS / f"scale-{number}"


def _bind(enforcer: BpfEnforcer, number: int, profiles: int) -> int:
    path = _container(number)
    path.mkdir()
    inode = path.stat().st_ino
    begin = time.thread_time_ns()
    enforcer.bind_cgroup(inode, _slot(number % profiles), number + 1, host_mounts=True)
    return time.thread_time_ns() - begin


def _open_cost(program: str, cgroup: Path) -> float:
    return min(run_in_cgroup([program, str(REPETITIONS), "open", str(MIDDLE)], cgroup.name))


def _unbind_all(enforcer: BpfEnforcer, containers: int) -> int:
    begin = time.thread_time_ns()
    for number in range(containers):
        enforcer.unbind_cgroup(_container(number).stat().st_ino)
    return time.thread_time_ns() - begin


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("containers", type=int)
    parser.add_argument("profiles", type=int)
    parser.add_argument("rules", type=int)
    arguments = parser.parse_args()
    program = prepare(arguments.program)
    with loaded() as enforcer:
        applied = []
        for number in range(arguments.profiles):
            profile = _profile(number, arguments.rules)
            begin = time.thread_time_ns()
            enforcer.apply(_slot(number), f"{number + 1:064x}", profile)
            applied.append(time.thread_time_ns() - begin)
        armed = [_bind(enforcer, 0, arguments.profiles)]
        before, memory_before = _open_cost(program, _container(0)), enforcer.memory()
        armed += [_bind(enforcer, number, arguments.profiles) for number in range(1, arguments.containers)]
        after, memory_after = _open_cost(program, _container(0)), enforcer.memory()
        result = {
            "kernel": os.uname().release,
            **{key: getattr(arguments, key) for key in ("containers", "profiles", "rules")},
            "apply": [statistics.median(applied), max(applied)],
            "bind_first_hundred": statistics.median(armed[:100]),
            "bind_last_hundred": statistics.median(armed[-100:]),
            "open_with_one": before,
            "open_with_all": after,
            "memory_with_one": memory_before,
            "memory_with_all": memory_after,
            "unbind": _unbind_all(enforcer, arguments.containers) / arguments.containers,
            "bindings_left": len(enforcer.bindings()),
        }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

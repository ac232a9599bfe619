# SPDX-License-Identifier: Apache-2.0
"""Containers that come and go at full speed, each of which attacks; in the light guest, as root.

``python -m tests.soak.churn --seconds 600``: every round starts some containers (a cgroup, a mount namespace, an
entrypoint), lets each try its attacks, enters each from outside, changes the policy under them, and takes them away.
At the end nothing may have passed and nothing may be left: no binding, no task, no descriptor, no memory. Exit code 1
otherwise.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.kernel.bpf.rules import ALL, mount, path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.layout import MountBinding
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.maps import HashMap
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.profile.types import BpfProfile

CGROUPS = Path("/sys/fs/cgroup")
SHELL = "/bin/busybox"
PINS = PinDirectory(BPFFS / "varmor_churn")
SLOTS = 4
LEAST_ATTACKS = 6  # some spoil the file for those after them
FOLDER = Path("/run/churn")
ATTACKS = f"""
cd {FOLDER}
try() {{ "$@" >/dev/null 2>&1 && echo "passed: $*"; }}
attack() {{
  try cat secret; try cat {FOLDER}/secret; try sh -c 'cd sub && cat ../secret'
  try cp secret copy; try mv secret moved; try ln secret second; try sh -c 'echo x >secret'; try rm secret
  try cat /proc/self/cwd/secret
  try sh -c 'ln -s secret link$$; cat link$$; got=$?; rm link$$; exit $got'; try mount --bind secret open
  try sh -c 'echo 0 >{CGROUPS}/cgroup.procs && cat secret'; try unshare -m cat secret; try setsid cat secret
}}
attack
cat open >/dev/null && echo neighbour
read go
attack
cat open >/dev/null && echo neighbour
"""


@dataclass
class Container:
    """One of a round."""

    number: int
    cgroup: Path
    process: subprocess.Popen[str]


@dataclass
class Result:
    """What was seen."""

    containers: int = 0
    passed: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def good(self) -> bool:
        """Whether nothing passed and nothing is left."""
        return not self.passed and not any(self.left.values()) and self.containers > 0


def profile(turn: int) -> BpfProfile:
    """Another revision each time; the protected file is in all of them."""
    others = tuple(path(f"/srv/{turn}/{number}/**", ALL, audit=False) for number in range(turn % 7))
    return BpfProfile(paths=(path(f"{FOLDER}/secret", ALL, audit=False), *others), mounts=(mount(),))


def start(enforcer: BpfEnforcer, number: int) -> Container:
    """Bind a new cgroup, then start what a runtime starts: it makes a mount namespace, then executes the entrypoint."""
    cgroup = CGROUPS / f"churn-{number}"
    cgroup.mkdir()
    enforcer.bind_cgroup(cgroup.stat().st_ino, f"churn-{number % SLOTS}", number, entrypoint=True)

    def enter() -> None:
        (cgroup / "cgroup.procs").write_text("0")

    command = ["unshare", "-m", "--propagation", "private", SHELL, "sh", "-c", ATTACKS]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        preexec_fn=enter,  # noqa: PLW1509 - there are no threads here
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return Container(number, cgroup, process)


def first_half(container: Container, result: Result) -> None:
    """Read what the entrypoint tried, and enter the container."""
    assert container.process.stdout is not None
    for line in container.process.stdout:
        if line == "neighbour\n":
            break
        result.passed.append(f"container {container.number}: {line.strip()}")
    else:
        result.passed.append(f"container {container.number}: the neighbour was refused, or it ended")
    enter = ["nsenter", "-t", str(container.process.pid), "-m", SHELL, "cat", f"{FOLDER}/secret"]
    if subprocess.run(enter, capture_output=True, check=False).returncode == 0:
        result.passed.append(f"container {container.number}: entered from outside")


def second_half(container: Container, result: Result) -> None:
    """Let it try again, and see it end."""
    output, _ = container.process.communicate("go\n", timeout=120)
    if output != "neighbour\n":
        result.passed.append(f"container {container.number}, after the change: {output.strip()!r}")


def remove(enforcer: BpfEnforcer, container: Container) -> None:
    """Take the cgroup away; every other time the daemon forgets it before, as a runtime's hook tells it to."""
    if container.number % 2:
        enforcer.unbind_cgroup(container.cgroup.stat().st_ino)
    while "populated 1" in (container.cgroup / "cgroup.events").read_text():
        pass  # the kernel removes the last task a little after its parent saw it end
    container.cgroup.rmdir()


def attacks_that_work() -> int:
    """How many of the attacks pass without a policy. Files are new afterwards."""
    command = ["unshare", "-m", "--propagation", "private", SHELL, "sh", "-c", ATTACKS]
    done = subprocess.run(command, input="go\n", capture_output=True, text=True, timeout=120, check=False)
    prepare()
    return done.stdout.count("passed: ")


def prepare() -> None:
    """The protected file and its neighbour."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "sub").mkdir(parents=True)
    for name in ("secret", "open"):
        (FOLDER / name).write_text("x")


def _mount_namespaces() -> int:
    table = HashMap(PINS.of(Settings().digest()) / "map_mount_namespaces", ctypes.c_uint32, MountBinding)
    try:
        return len(table.all_keys())
    finally:
        table.close()


def leftovers(enforcer: BpfEnforcer) -> dict[str, int]:
    """What one more container must not add to."""
    return {
        "bindings": len(enforcer.bindings()),
        "mount namespaces": _mount_namespaces(),
        "tasks": len(enforcer.bound_tasks()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "bytes of maps": sum(enforcer.memory().values()),
    }


def churn(enforcer: BpfEnforcer, seconds: float, together: int) -> Result:
    """Rounds until the time is over."""
    result = Result()
    for slot in range(SLOTS):
        enforcer.apply(f"churn-{slot}", f"{1:064x}", profile(0))
    before = leftovers(enforcer)
    deadline = time.monotonic() + seconds
    turn, number, told = 1, 1, time.monotonic()
    while time.monotonic() < deadline and not result.passed:
        containers = [start(enforcer, number + offset) for offset in range(together)]
        for container in containers:
            first_half(container, result)
        turn += 1
        enforcer.apply(f"churn-{turn % SLOTS}", f"{turn:064x}", profile(turn))
        for container in containers:
            second_half(container, result)
        for container in containers:
            remove(enforcer, container)
        enforcer.read_events()
        number += together
        result.containers += together
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"{result.containers} containers", file=sys.stderr, flush=True)
    after = leftovers(enforcer)
    result.left = {what: after[what] - before[what] for what in after}
    result.left |= {**enforcer.failures(), "lost": enforcer.lost()}
    return result


def main() -> int:
    """Run, print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--together", type=int, default=4, help="containers at a time")
    arguments = parser.parse_args()
    prepare()
    working = attacks_that_work()
    if working < LEAST_ATTACKS:
        sys.exit(f"only {working} attacks work without a policy: this run would prove nothing")
    enforcer = BpfEnforcer(pins=PINS)
    enforcer.detach()
    enforcer.start()
    try:
        result = churn(enforcer, arguments.seconds, arguments.together)
    finally:
        enforcer.detach()
    print(
        json.dumps(
            {"attacks": working, "containers": result.containers, "passed": result.passed[:20], "left": result.left}
        )
    )
    return 0 if result.good() else 1


if __name__ == "__main__":
    sys.exit(main())

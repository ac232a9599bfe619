# SPDX-License-Identifier: Apache-2.0
"""The part that runs inside the guest, as root: every operation under every enforcer, one line of JSON for each.

``python -m bench.calls.guest PROGRAM RULES...``: PROGRAM is the compiled calls.c, RULES are numbers of rules.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from bench.calls.rule_sets import patterns
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.loader import Settings
from varmor.kernel.bpf.pins import BPFFS, PinDirectory
from varmor.profile.types import Access, BpfProfile, CapabilityRule, EgressRule, PathRule

REPETITIONS = 5
FOLDER = Path("/run/bt")
SHORT = FOLDER.parent / "f"
MIDDLE = FOLDER / "app/data12/conf/x/server.json"
LONG = FOLDER / "application/releases/2026-11/node_modules/package/dist/assets/locale/de/messages-de.json"
PROFILE = "varmor_bench"
SLOT = "varmor-bench"
CGROUPS = Path("/sys/fs/cgroup")
FREE = "bench-free"
_ALL = Access.READ | Access.WRITE | Access.APPEND | Access.EXEC
_CAP_SYS_PTRACE = 19
Enter = Callable[[], None]


def operations(program: str) -> dict[str, list[str]]:
    """Names of rows, and what calls.c is asked to do."""
    return {
        "open, 6 bytes": ["open", str(SHORT)],
        f"open, {len(str(MIDDLE))} bytes": ["open", str(MIDDLE)],
        f"open, {len(str(LONG))} bytes": ["open", str(LONG)],
        "rename": ["rename", str(MIDDLE.with_name("a")), str(MIDDLE.with_name("b"))],
        "exec": ["exec", program],
        "fork": ["fork"],
        "connect": ["connect", "9"],
        "capable": ["capable"],
    }


def prepare(source: str) -> str:
    """The files that are used, on tmpfs; where the program is then."""
    for path in (SHORT, MIDDLE, LONG, MIDDLE.with_name("a")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    program = FOLDER / "calls"
    shutil.copy(source, program)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    return str(program)


def run_in_cgroup(command: list[str], cgroup: str, confine: Enter | None = None) -> list[float]:
    """Run calls.c in a cgroup, confined by what ``confine`` does before; what each repetition cost.

    Every process is in a cgroup of its own: the kernel's accounting of memory costs, too.
    """

    def enter() -> None:
        (CGROUPS / cgroup / "cgroup.procs").write_text("0")
        if confine is not None:
            confine()

    (CGROUPS / cgroup).mkdir(exist_ok=True)
    done = subprocess.run(command, preexec_fn=enter, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return [float(line) for line in done.stdout.split()]


def measure(program: str, enforcer: str, rules: int, cgroup: str, confine: Enter | None = None) -> None:
    """Run all operations, and print what they cost."""
    for name, words in operations(program).items():
        figures = run_in_cgroup([program, str(REPETITIONS), *words], cgroup, confine)
        print(json.dumps({"enforcer": enforcer, "rules": rules, "operation": name, "figures": figures}), flush=True)


def profile(count: int) -> BpfProfile:
    """A BPF profile that denies what the patterns name, and as many destinations and a capability beside."""
    networks = [ip_network(f"10.{number >> 8}.{number & 255}.0/24") for number in range(count)]
    return BpfProfile(
        paths=tuple(PathRule(pattern, _ALL, deny=True, audit=False, origin="bench") for pattern in patterns(count)),
        egress=tuple(EgressRule(network, (), deny=True, audit=False, origin="bench") for network in networks),
        capabilities=(CapabilityRule(1 << _CAP_SYS_PTRACE, deny=True, audit=False, origin="bench"),),
    )


@contextmanager
def loaded() -> Iterator[BpfEnforcer]:
    """Our programs, attached to a kernel that had none."""
    enforcer = BpfEnforcer(Settings(table_bytes=64 << 20), PinDirectory(BPFFS / "varmor_bench"))
    enforcer.detach()
    enforcer.start()
    try:
        yield enforcer
    finally:
        enforcer.detach()


def ours(program: str, counts: list[int]) -> None:
    """Attached but not bound, bound without rules, bound with rules."""
    with loaded() as enforcer:
        measure(program, "attached, task not bound", 0, FREE)
        cgroup = CGROUPS / "bench"
        cgroup.mkdir(exist_ok=True)
        enforcer.apply(SLOT, f"{1:064x}", BpfProfile())
        enforcer.bind_cgroup(cgroup.stat().st_ino, SLOT, 1, host_mounts=True)
        for count in (0, *counts):
            enforcer.apply(SLOT, f"{count + 2:064x}", profile(count) if count else BpfProfile())
            measure(program, "varmor BPF", count, cgroup.name)
        for name, value in {**enforcer.failures(), "lost": enforcer.lost()}.items():
            if value:
                sys.exit(f"{name} is {value}: the figures are not those of the way that is meant")


def apparmor(program: str, counts: list[int]) -> None:
    """The same rules as text for AppArmor's parser."""

    def confine() -> None:
        Path("/proc/self/attr/exec").write_text(f"exec {PROFILE}")

    for count in counts:
        rules = "".join(f"  deny {pattern} rwlx,\n" for pattern in patterns(count))
        text = (
            f"profile {PROFILE} flags=(attach_disconnected,mediate_deleted) {{\n  file,\n  capability,\n  network,\n"
            f"  unix,\n  signal,\n  ptrace,\n  mount,\n  deny capability sys_ptrace,\n{rules}}}\n"
        )
        subprocess.run(["apparmor_parser", "-r", "-K", "--"], input=text, text=True, check=True)
        measure(program, "AppArmor", count, FREE, confine)
        subprocess.run(["apparmor_parser", "-R", "-K"], input=text, text=True, check=True)


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("rules", type=int, nargs="+")
    parser.add_argument("--apparmor-most", type=int, default=500, help="no more rules than that for AppArmor's parser")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {0})
    program = prepare(arguments.program)
    print(json.dumps({"kernel": os.uname().release}), flush=True)
    measure(program, "none", 0, FREE)
    ours(program, arguments.rules)
    apparmor(program, [count for count in arguments.rules if count <= arguments.apparmor_most])


if __name__ == "__main__":
    main()

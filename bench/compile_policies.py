# SPDX-License-Identifier: Apache-2.0
"""How long compiling takes: many policies in one process, and one policy as a person does it.

``python -m bench.compile_policies`` writes raw figures to docs/benchmarks/compile.json and a page beside it. Each
measurement runs in a process of its own; times are wall time in seconds, memory is the peak resident set in MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from varmor.catalog.loader import load
from varmor.catalog.types import RuleList
from varmor.policy.parse import parse_object
from varmor.profile.compile import compile_policy
from varmor.profile.tables import encode
from varmor.profile.types import NodeFacts

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "benchmarks"
_FOLDERS = ("etc", "srv", "var/lib", "opt", "usr/share", "home", "data", "run")
_NAMES = ("web", "db", "cache", "queue", "auth", "mail", "build", "metrics", "proxy", "search")


def policy(number: int, rules: int) -> dict[str, Any]:
    """A policy with ``rules`` rules for all three enforcers: a fifth built in, the rest of its own."""
    source = random.Random(number)  # noqa: S311 - the same policies in every run
    built_in = [rule for rule in load().rules if not (rule.bpf and rule.bpf.services)]
    chosen = source.sample(built_in, rules // 5)

    def names(wanted: RuleList) -> list[str]:
        return [rule.name for rule in chosen if rule.list is wanted]

    own = rules - len(chosen)
    files, destinations, syscalls = own - own // 4 - own // 8, own // 4, own // 8
    return {
        "apiVersion": "crd.varmor.org/v1beta1",
        "kind": "VarmorPolicy",
        "metadata": {"name": f"policy-{number}"},
        "spec": {
            "target": {"kind": "Container", "name": f"workload-{number}"},
            "policy": {
                "enforcer": "AppArmorBPFSeccomp",
                "mode": "EnhanceProtect",
                "enhanceProtect": {
                    "auditViolations": True,
                    "hardeningRules": names(RuleList.HARDENING),
                    "attackProtectionRules": [{"rules": [name]} for name in names(RuleList.ATTACK_PROTECTION)],
                    "vulMitigationRules": names(RuleList.VUL_MITIGATION),
                    "bpfRawRules": {
                        "files": [_file(source) for _ in range(files)],
                        "network": {"egress": {"toDestinations": [_destination(source) for _ in range(destinations)]}},
                    },
                    "syscallRawRules": [_syscall(source) for _ in range(syscalls)],
                },
            },
        },
    }


def _file(source: random.Random) -> dict[str, Any]:
    path = f"/{source.choice(_FOLDERS)}/{source.choice(_NAMES)}{source.randint(0, 99)}"
    pattern = source.choice(
        (path, f"{path}/**", f"{path}/*.conf", f"/**/{source.choice(_NAMES)}{source.randint(0, 9)}")
    )
    return {"pattern": pattern, "permissions": [source.choice(("read", "write", "all"))], "qualifiers": ["deny"]}


def _destination(source: random.Random) -> dict[str, Any]:
    cidr = f"10.{source.randint(0, 255)}.{source.randint(0, 255)}.0/24"
    return {"cidr": cidr, "ports": [{"port": source.randint(1, 65535)}], "qualifiers": ["deny"]}


def _syscall(source: random.Random) -> dict[str, Any]:
    name = source.choice(("ptrace", "mount", "unshare", "bpf", "keyctl", "personality", "kexec_load", "reboot"))
    return {"names": [name], "action": "SCMP_ACT_ERRNO"}


def compile_many(count: int, rules: int) -> dict[str, float]:
    """Compile ``count`` policies to profiles and kernel tables in this process, and measure it."""
    documents = [policy(number, rules) for number in range(count)]
    catalog, facts = load(), NodeFacts(apparmor_parser=(4, 1), apparmor_abi=("3.0", "4.0"))
    begin = time.perf_counter()
    profiles = [compile_policy(parse_object(document, "bench"), catalog, facts) for document in documents]
    compiled = time.perf_counter()
    states = 0
    for profile in profiles:
        if profile.bpf is not None:
            states += sum(automaton.states for automaton in encode(profile.bpf).all_automata)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"profiles": compiled - begin, "tables": end - compiled, "states": states, "peak": peak}


def _in_a_process(count: int, rules: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.compile_policies", "--count", str(count), "--rules", str(rules), "--worker"]
    output = subprocess.run(command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'daemon/src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": ""}


def _once(path: Path) -> float:
    """Seconds of one ``varmor compile`` of one policy, interpreter start included."""
    command = [str(Path(sys.executable).parent / "varmor"), "compile", str(path)]
    begin = time.perf_counter()
    subprocess.run(command, env=_environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(count: int, rules: int, runs: int) -> dict[str, Any]:
    """All measurements, raw."""
    example = ROOT / "examples" / "nginx-container.yaml"
    _once(example)  # byte code is written once after an installation
    return {
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "count": count,
        "rules": rules,
        "many": [_in_a_process(count, rules) for _ in range(runs)],
        "one": [_once(example) for _ in range(runs * 5)],
    }


def page(raw: dict[str, Any]) -> str:
    """The figures as a page."""

    def median(key: str) -> float:
        return float(statistics.median(run[key] for run in raw["many"]))

    total = statistics.median(run["profiles"] + run["tables"] for run in raw["many"])
    machine = raw["machine"]
    each = median("states") / raw["count"]
    one = statistics.median(raw["one"]) * 1000
    return (
        "# Compiling policies\n\n"
        f"{raw['count']} policies of {raw['rules']} rules each (a fifth built-in rules, the rest `bpfRawRules` and\n"
        "`syscallRawRules`) for all three enforcers, in one process; medians of "
        f"{len(raw['many'])} runs on {machine['cpus']} processors\n"
        f"({machine['processor']}, Python {machine['python']}). "
        "`python -m bench.compile_policies` makes this page and the raw figures, compile.json.\n\n"
        "| what | figure |\n|---|---|\n"
        f"| manifests to profiles (AppArmor text, seccomp filter, BPF rules) | {median('profiles'):.1f} s |\n"
        f"| BPF rules to kernel tables ({each:.0f} states a policy) | {median('tables'):.1f} s |\n"
        f"| one policy, both steps | {total / raw['count'] * 1000:.1f} ms |\n"
        f"| peak memory of the process, which holds all profiles | {median('peak'):.0f} MiB |\n"
        f"| `varmor compile` of one policy, with the start of the interpreter | {one:.0f} ms "
        f"(fastest {min(raw['one']) * 1000:.0f} ms) |\n"
    )


def main() -> None:
    """Measure and write, or (``--worker``) measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(compile_many(arguments.count, arguments.rules)))
        return
    raw = measure(arguments.count, arguments.rules, arguments.runs)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "compile.json").write_text(json.dumps(raw, indent=1) + "\n")
    (OUTPUT / "compile.md").write_text(page(raw))
    print(page(raw))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What a system call costs under no enforcer, ours and AppArmor: guest instructions on stock kernels.

``python -m bench.calls`` compiles calls.c, runs it in light guests whose clock counts instructions, and writes raw
figures (docs/benchmarks/calls.json), a page (calls.md) and a plot (calls.svg).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.calls.page import page
from bench.calls.plot import plot
from tests.nodes.guest import GuestOptions, run_guest

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "benchmarks"
KERNELS = ("bookworm", "trixie", "trixie-backports")
RULES = (1, 10, 50, 500, 5000)
_SECONDS = 3600


def compile_program(folder: Path) -> Path:
    """The benchmark's program, linked statically: the dynamic loader's work would be in each exec."""
    program = folder / "calls"
    source = Path(__file__).with_name("calls.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", program, source], check=True)
    return program


def run(suite: str, program: Path, rules: list[int]) -> dict[str, Any]:
    """All figures of one kernel."""
    command = [sys.executable, "-m", "bench.calls.guest", str(program), *map(str, rules)]
    options = GuestOptions(suite=suite, timeout=_SECONDS, icount=True, environment={"PYTHONPATH": str(ROOT)})
    done = run_guest(command, options, cwd=ROOT, on_stderr=show)
    if done.returncode:
        sys.exit(f"{suite}: the benchmark ended with status {done.returncode}")
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    facts = next(line for line in lines if "kernel" in line)
    return {"suite": suite, **facts, "rows": [line for line in lines if "figures" in line]}


def show(data: bytes) -> None:
    """Progress of the guest, as it comes."""
    sys.stderr.write(data.decode(errors="replace"))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=KERNELS, help="Debian suites")
    parser.add_argument("--rules", nargs="+", type=int, default=RULES, help="numbers of rules")
    arguments = parser.parse_args()
    raw = []
    with tempfile.TemporaryDirectory() as name:
        program = compile_program(Path(name))
        for suite in arguments.kernels:
            print(f"{suite} ...", file=sys.stderr)
            raw.append(run(suite, program, list(arguments.rules)))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "calls.json").write_text(json.dumps(raw, indent=1) + "\n")
    (OUTPUT / "calls.svg").write_text(plot(raw))
    text = page(raw)
    (OUTPUT / "calls.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

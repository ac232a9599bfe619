# SPDX-License-Identifier: Apache-2.0
"""What a system call costs under no enforcer, ours and AppArmor: guest instructions on stock kernels.

``python -m bench.calls`` compiles calls.c, runs it in light guests whose clock counts instructions, and writes raw
figures (docs/benchmarks/calls.json), a page (calls.md) and a plot (calls.svg).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.calls.page import page
from bench.calls.plot import plot
from bench.instructions import OUTPUT, compile_calls, run_module, write

KERNELS = ("bookworm", "trixie", "trixie-backports")
RULES = (1, 10, 50, 500, 5000)


def run(suite: str, program: Path, rules: list[int]) -> dict[str, Any]:
    """All figures of one kernel."""
    lines = run_module(suite, "bench.calls.guest", [program, *rules])
    facts = next(line for line in lines if "kernel" in line)
    return {"suite": suite, **facts, "rows": [line for line in lines if "figures" in line]}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=KERNELS, help="Debian suites")
    parser.add_argument("--rules", nargs="+", type=int, default=RULES, help="numbers of rules")
    arguments = parser.parse_args()
    raw = []
    with tempfile.TemporaryDirectory() as name:
        program = compile_calls(Path(name))
        for suite in arguments.kernels:
            print(f"{suite} ...", file=sys.stderr)
            raw.append(run(suite, program, list(arguments.rules)))
    write("calls", raw, page(raw))
    (OUTPUT / "calls.svg").write_text(plot(raw))


if __name__ == "__main__":
    main()

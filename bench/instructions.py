# SPDX-License-Identifier: Apache-2.0
"""Benchmarks in light guests whose clock counts instructions: how they are run, and where their results go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.nodes.guest import GuestOptions, run_guest

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "benchmarks"
_SECONDS = 3600


def compile_calls(folder: Path) -> Path:
    """bench/calls/calls.c, linked statically: the dynamic loader's work would be in each exec."""
    program = folder / "calls"
    source = ROOT / "bench" / "calls" / "calls.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", program, source], check=True)
    return program


def run_module(suite: str, module: str, words: Sequence[object]) -> list[dict[str, Any]]:
    """Run a module on the kernel of a Debian suite; the objects of JSON that it printed, one a line."""
    options = GuestOptions(suite=suite, timeout=_SECONDS, icount=True, environment={"PYTHONPATH": str(ROOT)})
    command = [sys.executable, "-m", module, *map(str, words)]
    done = run_guest(command, options, cwd=ROOT, on_stderr=_show)
    if done.returncode:
        sys.exit(f"{suite}: {module} ended with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]


def write(name: str, raw: object, page: str) -> None:
    """Raw figures and the page about them, which is shown as well."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n")
    (OUTPUT / f"{name}.md").write_text(page)
    print(page)


def _show(data: bytes) -> None:
    sys.stderr.write(data.decode(errors="replace"))

# SPDX-License-Identifier: Apache-2.0
"""``varmor trace`` as an operator calls it: with the system's Python, which has bcc."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.bpf.conftest import Workload, enforcer, workload
from tests.kernel.bpf.rules import ALL, path
from varmor.profile.types import BpfProfile

__all__ = ["enforcer", "workload"]
PYTHON = "/usr/bin/python3"
SOURCES = Path(__file__).parents[2] / "daemon" / "src"
_LOOP = """
import os, sys, time
while True:
    for name in sys.argv[1:]:
        try:
            os.close(os.open(name, os.O_RDONLY))
        except OSError:
            pass
    time.sleep(0.02)
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A protected file and its neighbour."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "open").write_text("x")
    return tmp_path / "secret", tmp_path / "open"


@pytest.fixture
def process(workload: Workload, files: tuple[Path, Path]) -> Iterator[int]:
    """A confined process that opens both again and again."""
    workload.apply(BpfProfile(paths=(path(str(files[0]), ALL, audit=False),)))
    with subprocess.Popen([PYTHON, "-c", _LOOP, *files], preexec_fn=workload.cgroup.enter) as started:  # noqa: PLW1509
        yield started.pid
        started.kill()


def trace(*words: str) -> list[dict[str, Any]]:
    """What the command prints as JSON."""
    command = [PYTHON, "-m", "varmor.cli.main", "trace", *words, "--json", "--callers", "1000"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_who_is_refused_a_call(process: int) -> None:
    callers = trace(f"pid:{process}", "--denied", "--seconds", "5")
    assert {(caller["pid"], caller["call"], caller["result"]) for caller in callers} == {(process, "openat", "EACCES")}
    names = [frame["name"] for caller in callers for frame in caller["frames"]]
    assert any("open" in name and "libc" in name for name in names), names


def test_who_makes_a_call(process: int) -> None:
    callers = trace(f"pid:{process}", "openat", "--seconds", "5")
    results = {caller["result"] for caller in callers}
    assert "EACCES" in results
    assert results - {"EACCES"}  # the neighbour's descriptors
    assert {caller["pid"] for caller in callers} == {process}

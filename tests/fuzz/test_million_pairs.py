# SPDX-License-Identifier: Apache-2.0
"""The automaton against the definition of the glob language."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAIRS = int(os.environ.get("VARMOR_FUZZ_PAIRS", "1000000"))


def test_the_automaton_agrees_with_the_reference_matcher() -> None:
    # Some sets need too many states and are left out: ask for a little more than is wanted.
    result = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.million_pairs", "--pairs", str(PAIRS + PAIRS // 20)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'daemon/src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    counted = re.match(r"(\d+) pairs compared", result.stdout)
    assert counted is not None
    assert int(counted[1]) >= PAIRS

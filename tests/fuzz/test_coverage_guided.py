# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the parsers, with bounds on time and memory for each input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMORY_MEGABYTES = 768
"""What the process may take, the instrumented package and the catalog included."""
SECONDS_FOR_ONE_INPUT = 30
RUNS = {"manifest": 6_000, "pattern": 20_000, "seccomp": 20_000, "apparmor": 30_000}


def _seeds(target: str, folder: Path) -> None:
    """What the fuzzer begins with: the examples for the manifests, a word of the language for the others."""
    folder.mkdir()
    if target == "manifest":
        for example in (ROOT / "examples").glob("*.yaml"):
            (folder / example.name).write_bytes(example.read_bytes())
    (folder / "pattern").write_bytes(b"/etc/passwd" + b"x" * 13 + b"/**/{a,b*}[a-c]?")
    (folder / "seccomp").write_text(
        '{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]}],'
        '"syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}],'
        '"includes":{"caps":["CAP_SYS_ADMIN"],"arches":["amd64"],"minKernel":"4.8"},"excludes":{}}]}'
    )
    (folder / "apparmor").write_text('deny /etc/{a,b}** rwklx,\n  audit mount fstype=(proc) -> "/a b/",\n')


@pytest.mark.parametrize("target", sorted(RUNS))
def test_no_input_makes_a_parser_fail_in_another_way_than_by_its_own_error(target: str, tmp_path: Path) -> None:
    runs = int(os.environ.get("VARMOR_FUZZ_RUNS", RUNS[target]))
    _seeds(target, tmp_path / "seeds")
    (tmp_path / "corpus").mkdir()
    result = subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz.coverage_guided", target, f"-runs={runs}", "-seed=1", "-max_len=4096",
            f"-timeout={SECONDS_FOR_ONE_INPUT}", f"-rss_limit_mb={MEMORY_MEGABYTES}", "-verbosity=0",
            f"-artifact_prefix={tmp_path}/", str(tmp_path / "corpus"), str(tmp_path / "seeds"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'daemon/src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-6000:]

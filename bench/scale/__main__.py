# SPDX-License-Identifier: Apache-2.0
"""Many containers on one node: ``python -m bench.scale`` writes docs/benchmarks/scale.json and scale.md."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench.instructions import compile_calls, run_module, write

_MEBIBYTE = 1 << 20


def page(raw: dict[str, Any]) -> str:
    """The figures as a page."""
    with_one, with_all = (sum(raw[key].values()) for key in ("memory_with_one", "memory_with_all"))
    ratio = raw["open_with_all"] / raw["open_with_one"]
    rows = (
        (f"compile and load a profile of {raw['rules']} rules (median, longest)",
         f"{raw['apply'][0]:,.0f}, {raw['apply'][1]:,.0f} instructions"),
        ("bind a container, the first hundred", f"{raw['bind_first_hundred']:,.0f} instructions"),
        ("bind a container, the last hundred", f"{raw['bind_last_hundred']:,.0f} instructions"),
        ("forget a container", f"{raw['unbind']:,.0f} instructions"),
        ("open + close in a container, one bound", f"{raw['open_with_one']:,.0f} instructions"),
        (f"the same with {raw['containers']} bound", f"{raw['open_with_all']:,.0f} instructions (x{ratio:.4f})"),
        ("memory of all maps, one bound", f"{with_one / _MEBIBYTE:.1f} MiB"),
        (f"the same with {raw['containers']} bound", f"{with_all / _MEBIBYTE:.1f} MiB"),
        ("bindings left after all were forgotten", str(raw["bindings_left"])),
    )  # fmt: skip
    lines = "".join(f"| {what} | {figure} |\n" for what, figure in rows)
    return (
        "# Many containers on one node\n\n"
        f"{raw['containers']} cgroups bound to {raw['profiles']} profiles, Linux {raw['kernel']}, in a guest whose\n"
        "clock counts instructions (a million of them are some tenths of a millisecond).\n"
        "`python -m bench.scale` makes this page and scale.json. All maps have their full size from the start;\n"
        "64 MiB of it is the table of automata, which has 4 MiB by default.\n\n"
        f"| what | figure |\n|---|---|\n{lines}"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default="trixie", help="a Debian suite")
    parser.add_argument("--containers", type=int, default=2000)
    parser.add_argument("--profiles", type=int, default=200)
    parser.add_argument("--rules", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        words = [compile_calls(Path(name)), arguments.containers, arguments.profiles, arguments.rules]
        (raw,) = run_module(arguments.kernel, "bench.scale.guest", words)
    write("scale", raw, page(raw))


if __name__ == "__main__":
    main()

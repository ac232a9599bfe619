# SPDX-License-Identifier: Apache-2.0
"""The figures as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.calls.figures import NONE, label, table

_HEAD = """\
# What a system call costs

Guest instructions of one operation on stock Debian kernels, counted by the emulator (a nanosecond of the guest's
clock is one instruction; one processor; repeatable to about 0.1 %): the smallest of five repetitions, and the
ratio to the same operation without an enforcer. Instructions are not time: caches and branches do not count. All
processes run in a cgroup of their own, because the kernel's accounting of memory costs, too.

The rules deny reading, writing and executing (`bench/calls/rule_sets.py`: exact paths, directories, endings, names
anywhere); none of them is about the path that is used. BPF profiles have as many destinations beside. AppArmor has the
same rules as text, with everything else allowed; its parser would take hours for 5,000 in an emulated machine.
`python -m bench.calls` makes this page, calls.json and calls.svg.

![ratios](calls.svg)
"""


def page(raw: list[dict[str, Any]]) -> str:
    """A section for each kernel."""
    return _HEAD + "".join(_section(kernel) for kernel in raw)


def _section(kernel: dict[str, Any]) -> str:
    return f"\n## Linux {kernel['kernel']}\n\n" + "\n".join(_lines(kernel)) + "\n"


def _lines(kernel: dict[str, Any]) -> Iterator[str]:
    figures = table(kernel)
    base = figures[NONE]
    yield "| | " + " | ".join(base) + " |"
    yield "|---|" + "---|" * len(base)
    for configuration, row in figures.items():
        cells = [
            f"{row[name]:,.0f}" if configuration == NONE else f"{row[name]:,.0f} (x{row[name] / base[name]:.3f})"
            for name in base
        ]
        yield f"| {label(configuration)} | " + " | ".join(cells) + " |"

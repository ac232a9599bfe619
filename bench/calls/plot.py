# SPDX-License-Identifier: Apache-2.0
"""The figures as a picture: for each operation, how much more it costs with the most rules that were measured."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from bench.calls.figures import NONE, label, table

_COLOURS = {"attached, task not bound": "#9aa5b1", "varmor BPF": "#0b7285", "AppArmor": "#e8590c"}
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 14, 16, 150, 460, 50


def plot(raw: list[dict[str, Any]]) -> str:
    """An SVG with one panel for each kernel: bars of the overhead in per cent, at the largest number of rules."""
    panels, y = [], 0
    for kernel in raw:
        text, height = _panel(kernel, y)
        panels.append(text)
        y += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" height="{y}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(panels)
        + "</svg>\n"
    )


def _panel(kernel: dict[str, Any], top: int) -> tuple[str, int]:
    figures = table(kernel)
    base = figures[NONE]
    most = {enforcer: max(rules for other, rules in figures if other == enforcer) for enforcer, _rules in figures}
    shown = {enforcer: figures[enforcer, most[enforcer]] for enforcer in _COLOURS if enforcer in most}
    title = f"Linux {escape(kernel['kernel'])}: added cost"
    largest = max(row[name] / base[name] - 1 for row in shown.values() for name in base)
    parts = [f'<text x="10" y="{top + 20}" font-weight="bold">{title}</text>']
    for index, enforcer in enumerate(shown):
        x = 10 + index * 200
        parts.append(f'<rect x="{x}" y="{top + 28}" width="10" height="10" fill="{_COLOURS[enforcer]}"/>')
        parts.append(f'<text x="{x + 15}" y="{top + 37}">{escape(label((enforcer, most[enforcer])))}</text>')
    y = top + _TOP
    for name, whole in base.items():
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + _BAR * len(shown) / 2 + 4}" text-anchor="end">{escape(name)}</text>'
        )
        for enforcer, row in shown.items():
            more = max(row[name] / whole - 1, 0)
            width = more / largest * _WIDTH
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[enforcer]}"/>'
            )
            parts.append(
                f'<text x="{_LEFT + width + 5:.1f}" y="{y + _BAR - 4}" font-size="10">{more * 100:.1f} %</text>'
            )
            y += _BAR
        y += _GAP
    return "".join(parts), y - top + _GAP

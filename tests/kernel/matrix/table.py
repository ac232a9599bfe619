# SPDX-License-Identifier: Apache-2.0
"""The table of rules and enforcers, as text, as JSON, and as the page docs/reference/matrix.md.

``python -m tests.kernel.matrix.table build/matrix.json`` writes the page from the JSON that a run left.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

COLUMNS = ("AppArmor", "BPF", "Seccomp")
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "matrix.md"

_HEAD = """<!-- Made by `python -m tests.kernel.matrix.table`: do not edit. -->

# What each rule stops, as tested

For each built-in rule and enforcer, on a stock kernel (Linux {kernel}): the attack works without a policy, is refused
under a policy with this rule and this enforcer alone, the legitimate neighbour works under the same policy, and with
`allowViolations` and `auditViolations` the attack passes and is recorded. The tier `kernel` of the tests repeats it.

✔ *n*: the attack is stopped, and so are *n* other ways to the same end. –: the enforcer has no part in the rule; the
reasons stand below the table.

| rule | AppArmor | BPF | Seccomp |
|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Cell:
    """What was found for a rule and an enforcer.

    ``state`` is ``stopped``, ``none`` (the enforcer has no form for the rule, or the kernel nothing to refuse) or
    ``failed``; ``reason`` says why it is not ``stopped``. ``evasions`` counts the ways around that were stopped too,
    ``passing`` names those that the form does not reach.
    """

    state: str
    reason: str = ""
    evasions: int = 0
    passing: tuple[str, ...] = ()


@dataclass(slots=True)
class Table:
    """The cells by rule and enforcer."""

    kernel: str = ""
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)

    def put(self, rule: str, enforcer: str, cell: Cell) -> None:
        """Fill a cell."""
        self.cells.setdefault(rule, {})[enforcer] = cell

    def as_json(self) -> str:
        """All cells, sorted by rule."""
        rows = {rule: {name: asdict(cell) for name, cell in row.items()} for rule, row in sorted(self.cells.items())}
        return json.dumps({"kernel": self.kernel, "rules": rows}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Table:
        """Read what :meth:`as_json` made."""
        values: Mapping[str, Any] = json.loads(text)
        table = cls(values["kernel"])
        for rule, row in values["rules"].items():
            for name, cell in row.items():
                table.put(rule, name, Cell(**{**cell, "passing": tuple(cell["passing"])}))
        return table

    def as_text(self) -> str:
        """Lines of equal width: a rule, then one word for each enforcer."""
        width = max((len(rule) for rule in self.cells), default=4)
        lines = [f"{'rule'.ljust(width)}  " + "  ".join(name.ljust(16) for name in COLUMNS)]
        for rule, row in sorted(self.cells.items()):
            words = [_short(row.get(name)).ljust(16) for name in COLUMNS]
            lines.append(f"{rule.ljust(width)}  " + "  ".join(words))
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def as_page(self) -> str:
        """The page for the documentation."""
        lines = [_HEAD.format(kernel=self.kernel)]
        notes: list[str] = []
        for rule, row in sorted(self.cells.items()):
            lines.append(f"| {rule} | " + " | ".join(_mark(row.get(name)) for name in COLUMNS) + " |")
            for name in COLUMNS:
                cell = row.get(name)
                if cell is not None and cell.state != "stopped":
                    notes.append(f"| {rule} | {name} | {_plain(cell.reason)} |")
                elif cell is not None and cell.passing:
                    notes.append(
                        f"| {rule} | {name} | does not reach: {', '.join(cell.passing)}. {_plain(cell.reason)} |"
                    )
        if notes:
            lines += ["", "## Reasons and limits", "", "| rule | enforcer | why |", "|---|---|---|", *notes]
        return "\n".join(lines) + "\n"


def _short(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    if cell.state != "stopped":
        return {"none": "-", "failed": "FAILED"}[cell.state]
    return f"stopped {cell.evasions}" + (f" -{len(cell.passing)}" if cell.passing else "")


def _mark(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    if cell.state != "stopped":
        return {"none": "–", "failed": "✘"}[cell.state]
    return f"✔ {cell.evasions}" if cell.evasions else "✔"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page from a run's JSON."""
    table = Table.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(table.as_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

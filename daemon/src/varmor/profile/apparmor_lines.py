# SPDX-License-Identifier: Apache-2.0
"""Which part of a manifest a line of a profile came from.

Custom text stands in a profile between two comments that name its field, so that the text alone, also as it was loaded
long ago, tells where apparmor_parser's "line 12" was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from varmor.errors import Location, PolicyError
from varmor.policy.types import Policy

_BEGIN, _END = "# begin ", "# end "
_FIELDS = "spec."


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of custom text: the manifest's field that holds the text, and the line in there, from 1."""

    field: str
    line: int


def marked(field: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines of custom text with the comments that tell their field. A line that could be such a comment is defused."""
    yield f"{_BEGIN}{field}"
    for line in lines:
        yield line.replace("#", "##", 1) if line.strip().startswith((_BEGIN, _END)) else line
    yield f"{_END}{field}"


def origin(text: str, line: int) -> Origin | None:
    """Where line ``line`` (from 1) of a profile's text was written; None when it is no line of custom text."""
    enclosing: list[Origin] = []
    for number, content in enumerate(text.split("\n"), start=1):
        comment = content.strip()
        if comment.startswith(_BEGIN + _FIELDS):
            enclosing.append(Origin(comment.removeprefix(_BEGIN), 0))
        elif comment.startswith(_END + _FIELDS) and enclosing:
            enclosing.pop()
        elif enclosing:
            enclosing[-1] = Origin(enclosing[-1].field, enclosing[-1].line + 1)
            if number == line:
                return enclosing[-1]
        if number >= line:
            return None
    return None


def text_error(policy: Policy, found: Origin, problem: str) -> PolicyError:
    """An error about a line of custom text, ready to be raised, with that line's place in the manifest if it is known.

    It is known for a block of YAML (``rules: |``); in a quoted or folded string lines are not where they seem.
    """
    where = policy.positions.get(found.field, Location())
    if not where.block:
        return policy.error(found.field, f"line {found.line} of the text: {problem}")
    place = Location(where.source, where.line + found.line)
    return PolicyError(problem, where=place, subject=str(policy.key), field=found.field)

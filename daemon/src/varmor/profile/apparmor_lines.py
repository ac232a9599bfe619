# SPDX-License-Identifier: Apache-2.0
"""Which part of a manifest a line of a profile came from.

Custom text stands in a profile between two comments that name its field, so that the text alone, also as it was loaded
long ago, tells where apparmor_parser's "line 12" was written.
"""

from __future__ import annotations

import re
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
    """Lines of custom text with the comments that tell their field."""
    yield f"{_BEGIN}{field}"
    yield from lines
    yield f"{_END}{field}"


def defused(text: str) -> Iterator[str]:
    """The lines of a text as it was written; its own comments are not taken for those that tell a field."""
    for line in text.rstrip().split("\n"):
        yield line.replace("#", "##", 1) if line.strip().startswith((_BEGIN, _END)) else line


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


def complained(text: str, words: str, file: str) -> Origin | None:
    """The line of custom text that apparmor_parser's words are about; None when they are about none, or do not say.

    ``file`` is the name under which the parser read the text.
    """
    place = re.search(r"(?:in profile (?P<file>\S+) )?at line (?P<line>\d+)", words)
    if place is not None:
        return origin(text, int(place["line"])) if place["file"] in (None, file) else None
    piece = re.search(r"Unable to parse input line '(?P<piece>.+)'", words)
    variable = re.search(r"reference to variable (?P<name>\w+)", words)
    wanted = piece["piece"] if piece else f"@{{{variable['name']}}}" if variable else ""
    for number, line in enumerate(text.split("\n"), start=1) if wanted else ():
        if wanted in line and (found := origin(text, number)):
            return found
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

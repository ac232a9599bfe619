# SPDX-License-Identifier: Apache-2.0
"""The exception base of the package.

Everything that varmor raises on purpose derives from :class:`VarmorError`. Entry points (the command, the daemon,
the socket API) turn it
into an exit code, a condition or a reply in one place; nothing else catches it to continue in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class VarmorError(Exception):
    """An expected failure, with a message for the person who can mend it."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a manifest. ``line`` and ``column`` count from 1; 0 means unknown.

    ``block`` tells that a literal block of text stands there (``|`` in YAML): its first line is the next one.
    """

    source: str = ""
    line: int = 0
    column: int = 0
    block: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return ":".join([self.source, *(str(number) for number in (self.line, self.column) if number)])


class PolicyError(VarmorError):
    """A manifest that cannot be accepted.

    ``where`` is the place in the manifest, ``subject`` the object (``VarmorPolicy default/web``), ``field`` the
    path of the field
    (``spec.policy.mode``), ``problem`` says what was found, what was expected and what to do.
    """

    exit_code = 2

    def __init__(self, problem: str, *, where: Location | None = None, subject: str = "", field: str = "") -> None:
        self.problem = problem
        self.where = where or Location()
        self.subject = subject
        self.field = field
        parts = [part for part in (str(self.where), subject, field) if part]
        super().__init__(": ".join([*parts, problem]))

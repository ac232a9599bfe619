# SPDX-License-Identifier: Apache-2.0
"""A field of a policy while it is compiled: where errors and notes point, and what rules are called after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from varmor.errors import PolicyError
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import Policy
from varmor.profile.types import NoEffect

_T = TypeVar("_T")
_OUTER = ("spec.policy.enhanceProtect.", "spec.policy.")


@dataclass(frozen=True, slots=True)
class Place:
    """The field ``field`` of ``policy``."""

    policy: Policy
    field: str

    def at(self, *steps: str | int) -> Place:
        """A field below: names of members and numbers of entries."""
        field = self.field
        for step in steps:
            field += f"[{step}]" if isinstance(step, int) else f".{step}"
        return Place(self.policy, field)

    @property
    def origin(self) -> str:
        """The field's name as the origin of a rule, without what all rules have in common."""
        return next((self.field[len(outer) :] for outer in _OUTER if self.field.startswith(outer)), self.field)

    def error(self, problem: str) -> PolicyError:
        """An error about this field, ready to be raised."""
        return self.policy.error(self.field, problem)

    def note(self, message: str) -> NoEffect:
        """What is said when this field does nothing."""
        return NoEffect(self.field, message)

    def lookup(self, words: Iterable[str], table: Mapping[str, _T], what: str, expected: str = "") -> tuple[_T, ...]:
        """The values of the field's words, in their order.

        A word counts as written where the table has it so (``R`` is not ``r``), else in lower case.

        Raises:
            PolicyError: the table has not got a word; the message names the nearest one it has, and ``expected`` (by
                default all of the table).
        """
        found: list[_T] = []
        for index, word in enumerate(words):
            value = table.get(word, table.get(word.lower()))
            if value is None:
                raise self.at(index).error(
                    f"unknown {what} {word[:40]!r}; expected {expected or ', '.join(table)}{did_you_mean(word, table)}"
                )
            found.append(value)
        return tuple(found)

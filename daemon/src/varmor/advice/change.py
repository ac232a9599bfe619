# SPDX-License-Identifier: Apache-2.0
"""A change between two profiles, as a value."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from varmor.advice.path_rules import Verdict


class Effect(enum.StrEnum):
    """The direction of a change."""

    DENIED = "becomes denied"
    ALLOWED = "becomes allowed"
    RECORDED = "becomes recorded"
    UNRECORDED = "is no longer recorded"
    UNKNOWN = "differs"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is judged differently.

    ``what`` says what in the words of the enforcer, ``example`` is one request of that kind where there is one,
    ``origin`` the rule that makes the difference, ``executables`` the programs whose rules it is about (all, if empty).
    """

    enforcer: str
    effect: Effect
    what: str
    example: str = ""
    origin: str = ""
    executables: tuple[str, ...] = ()


def effect_of(before: Verdict, after: Verdict) -> Effect:
    """The direction of a change of verdict. Whether a thing is refused matters more than whether it is recorded."""
    if before.denied != after.denied:
        return Effect.DENIED if after.denied else Effect.ALLOWED
    return Effect.RECORDED if after.recorded else Effect.UNRECORDED

# SPDX-License-Identifier: Apache-2.0
"""Whether a node can do something, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Support:
    """The answer of a probe. ``reason`` is empty when ``ok``, else one sentence with what was found and what helps."""

    ok: bool
    reason: str = ""


YES = Support(ok=True)


def no(reason: str) -> Support:
    """A negative answer."""
    return Support(ok=False, reason=reason)

# SPDX-License-Identifier: Apache-2.0
"""The nearest name to a misspelt one, for error messages."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(found: str, names: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"``, or an empty string when nothing is near."""
    # Needed for messages alone; commands that have none to print start faster without it.
    import difflib  # noqa: PLC0415

    spelled = {name.lower(): name for name in names}
    near = difflib.get_close_matches(found.lower()[:200], spelled, n=1, cutoff=0.6)
    return f" (did you mean {spelled[near[0]]!r}?)" if near else ""

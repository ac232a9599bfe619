# SPDX-License-Identifier: Apache-2.0
"""Whether all violations came through, as a condition of the node."""

from __future__ import annotations

from collections.abc import Mapping

from varmor.node.policy_state import Condition

RECORDS_COMPLETE = "RecordsComplete"
"""False once something was dropped since the daemon (or, for BPF, the programs) started."""


def records_complete(losses: Mapping[str, int]) -> Condition:
    """The condition. ``losses``: what was dropped, by where."""
    lost = [f"{count} {where}" for where, count in losses.items() if count]
    if not lost:
        return Condition(RECORDS_COMPLETE, status=True, reason="NothingLost", message="")
    message = f"violations happened that are in no record: {', '.join(lost)}; what was refused stayed refused"
    return Condition(RECORDS_COMPLETE, status=False, reason="RecordsLost", message=message)

# SPDX-License-Identifier: Apache-2.0
"""What a seccomp filter does with one call, without a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from varmor.profile.seccomp_condition import cell_holds
from varmor.profile.seccomp_table import Action, default_action, read_table


def verdict(profile: Mapping[str, Any], name: str, args: Sequence[int] = ()) -> Action:
    """The action for syscall ``name`` with ``args`` (missing ones count as 0): the strictest that applies.

    Raises:
        ValueError: the profile is not an OCI ``LinuxSeccomp`` object.
    """
    padded = (*args, 0, 0, 0, 0, 0, 0)[:6]
    matching = [action for cell, action in read_table(profile).get(name, []) if cell_holds(cell, padded)]
    return max(matching, key=lambda action: action.strictness) if matching else default_action(profile)

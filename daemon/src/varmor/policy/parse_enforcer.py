# SPDX-License-Identifier: Apache-2.0
"""``spec.policy.enforcer``: names of enforcers in any combination, order and case."""

from __future__ import annotations

from varmor.errors import PolicyError
from varmor.policy.cursor import Cursor
from varmor.policy.nearest import did_you_mean
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.types import Enforcer

SEPARATORS = " ,+|"
NAMES = {
    "apparmor": Enforcer.APPARMOR,
    "bpf": Enforcer.BPF,
    "seccomp": Enforcer.SECCOMP,
    "networkproxy": None,
}


def enforcers(cursor: Cursor) -> Enforcer:
    """Any concatenation of enforcer names, whatever the case, also with separators between them.

    Raises:
        PolicyError: something else stands there, or an enforcer that is not built yet.
    """
    found = cursor.string(limit=200)
    rest = found.lower()
    chosen = Enforcer(0)
    while rest := rest.lstrip(SEPARATORS):
        name = next((name for name in NAMES if rest.startswith(name)), None)
        if name is None:
            raise _unknown(cursor, found, rest)
        member = NAMES[name]
        if member is None:
            raise cursor.error(f"{found!r}: {NOT_BUILT}; expected AppArmor, BPF and Seccomp in any combination")
        chosen |= member
        rest = rest[len(name) :]
    if not chosen:
        raise _unknown(cursor, found, rest)
    return chosen


def _unknown(cursor: Cursor, found: str, rest: str) -> PolicyError:
    at = f" at {found[len(found) - len(rest) :]!r}" if 0 < len(rest) < len(found) else ""
    return cursor.error(
        f"unknown enforcer {found!r}{at}; expected AppArmor, BPF and Seccomp in any combination, such as AppArmorBPF"
        f"{did_you_mean(rest, ('AppArmor', 'BPF', 'Seccomp'))}"
    )

# SPDX-License-Identifier: Apache-2.0
"""A person's own rules for AppArmor (text) and seccomp (entries as in the OCI runtime specification)."""

from __future__ import annotations

from varmor.policy.cursor import Cursor
from varmor.policy.types import AppArmorRawRule, SyscallArg, SyscallRule

MAX_APPARMOR_TEXT = 65536

_UINT64 = (1 << 64) - 1


def executable(cursor: Cursor) -> str:
    """The full path of a program.

    Raises:
        PolicyError: it is no full path.
    """
    path = cursor.string()
    if not path.startswith("/"):
        raise cursor.error(f"{path!r} is not the full path of a program; expected one such as /bin/sh")
    return path


def apparmor_rule(cursor: Cursor) -> AppArmorRawRule:
    """An ``appArmorRawRules[]`` entry. Its text is checked when the policy is compiled.

    Raises:
        PolicyError: an unknown field, or a wrong type.
    """
    cursor.only(("rules", "targets"))
    return AppArmorRawRule(cursor.child("rules").string(limit=MAX_APPARMOR_TEXT), cursor.each("targets", executable))


def syscall_rule(cursor: Cursor) -> SyscallRule:
    """A ``syscallRawRules[]`` entry. Names and words are checked when the policy is compiled.

    Raises:
        PolicyError: an unknown field, a wrong type, or a number out of range.
    """
    cursor.only(("names", "action", "errnoRet", "args"))
    errno = cursor.maybe("errnoRet")
    return SyscallRule(
        names=cursor.strings("names", required=True),
        action=cursor.child("action").string(),
        errno_ret=errno.integer(0, 4095) if errno else None,
        args=cursor.each("args", _syscall_arg),
    )


def _syscall_arg(cursor: Cursor) -> SyscallArg:
    cursor.only(("index", "value", "valueTwo", "op"))
    value_two = cursor.maybe("valueTwo")
    return SyscallArg(
        index=cursor.child("index").integer(0, 5),
        value=cursor.child("value").integer(0, _UINT64),
        op=cursor.child("op").string(),
        value_two=value_two.integer(0, _UINT64) if value_two else 0,
    )

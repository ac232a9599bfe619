# SPDX-License-Identifier: Apache-2.0
"""A rule that keeps libseccomp from writing a filter that judges nothing.

For x86_64 together with x32, libseccomp (seen in 2.5.4) leaves out the instruction that loads the syscall's number when
the rule that comes first is about a call that x86_64 has not, such as ``setuid32``. All rules for x86_64 are then
compared with something else, and none applies. A rule without conditions about a call that x86_64 has comes first and
is kept; where a filter has none, one is added that changes nothing.
"""

from __future__ import annotations

import errno
from typing import Any

from varmor.profile.seccomp_arguments import FOREIGN, KINDS
from varmor.profile.seccomp_table import default_action

_HARMLESS = "security"  # a number that no kernel has ever used: it answers ENOSYS in any case


def guard(profile: dict[str, Any]) -> None:
    """Add the rule to ``profile`` where it is needed.

    Raises:
        ValueError: not an OCI ``LinuxSeccomp`` object.
    """
    if "SCMP_ARCH_X32" not in (profile.get("architectures") or ()):
        return
    syscalls = profile.get("syscalls") or []
    default = default_action(profile)
    if not any(not _native(name) for entry in syscalls for name in entry.get("names") or ()):
        return
    for entry in syscalls:
        if entry.get("action") == default.name and entry.get("errnoRet") in (None, default.errno):
            continue
        if not entry.get("args") and any(_native(name) for name in entry.get("names") or ()):
            return
    number = errno.EPERM if default.errno == errno.ENOSYS else errno.ENOSYS
    profile["syscalls"] = [{"names": [_HARMLESS], "action": "SCMP_ACT_ERRNO", "errnoRet": number}, *syscalls]


def _native(name: str) -> bool:
    return name == _HARMLESS or (name in KINDS and name not in FOREIGN)

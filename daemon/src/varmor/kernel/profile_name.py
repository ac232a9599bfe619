# SPDX-License-Identifier: Apache-2.0
"""Names of profiles, before they become file names and names in the kernel."""

from __future__ import annotations

import re

from varmor.errors import VarmorError

PREFIX = "varmor-"
_NAME = re.compile(r"varmor-[a-z0-9]([a-z0-9.-]{0,254}[a-z0-9])?")


class ProfileNameError(VarmorError):
    """A profile name that must not become a path."""


def checked(name: str) -> str:
    """The name itself, when it is one of ours and safe as a file name.

    Raises:
        ProfileNameError: it is not.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ProfileNameError(
            f"profile name {name!r}: expected {PREFIX}NAME of lower-case letters, digits, `.` and `-`, at most 263 long"
        )
    return name


def is_ours(name: str) -> bool:
    """Whether a name found in the kernel or in a directory is that of a profile of ours."""
    return bool(_NAME.fullmatch(name)) and ".." not in name

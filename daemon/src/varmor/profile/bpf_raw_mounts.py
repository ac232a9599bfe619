# SPDX-License-Identifier: Apache-2.0
"""``mounts[]`` of ``bpfRawRules``."""

from __future__ import annotations

from varmor.policy.types import BpfMountRule
from varmor.profile.bpf_words import MOUNT_FLAGS, mount_flags
from varmor.profile.pattern import PatternError, source_pattern
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.types import MountRule

_FSTYPE_BYTES = 15


def mount_rule(place: Place, rule: BpfMountRule, reaction: Reaction) -> MountRule:
    """The rule of one entry.

    Raises:
        PolicyError: an unknown flag, a source that is malformed, or a file system type that no kernel can have.
    """
    flag = mount_flags(place.at("flags").lookup(rule.flags, MOUNT_FLAGS, "mount flag"))
    try:
        source = source_pattern(rule.source_pattern)
    except PatternError as error:
        raise place.at("sourcePattern").error(str(error)) from error
    return MountRule(
        source, _fstype(place, rule.fstype), flag.flags, flag.reverse, reaction.deny, reaction.audit, place.origin
    )


def _fstype(place: Place, word: str) -> str:
    if word.startswith("*"):
        return "*"
    if not word or not word.isascii() or not word.isprintable() or len(word) > _FSTYPE_BYTES:
        raise place.at("fstype").error(
            f"{word[:40]!r} is no file system type; expected a name of at most {_FSTYPE_BYTES} characters, or '*' for "
            "any"
        )
    return word

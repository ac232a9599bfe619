# SPDX-License-Identifier: Apache-2.0
"""`exec`: another process in a container that has a profile."""

from __future__ import annotations

import json
import os
from typing import Any

from varmor.runc import configuration
from varmor.runc.invocation import Invocation

_PROFILE_PREFIX = "varmor-"
_STATE_ROOTS = ("/run/runc", "/run/crun")
_CRUN_PROFILE = ("process", "apparmorProfile")


def confined_words(invocation: Invocation) -> list[str]:
    """The words of an ``exec`` whose process gets the AppArmor profile that the container has.

    Engines describe that process from what they know of the container, which is not what the wrapper made of it:
    without this, `exec` would run under the engine's default profile.
    """
    words = list(invocation.words)
    profile = _profile_of(invocation)
    if not profile.startswith(_PROFILE_PREFIX):
        return words
    process = invocation.options.get("process")
    if process:
        file = configuration.Rewritten(process)
        file.write({**file.original, "apparmorProfile": profile})
        return words
    if invocation.options.get("apparmor"):
        return words
    return [*invocation.global_words, "exec", f"--apparmor={profile}", *invocation.verb_words]


def _profile_of(invocation: Invocation) -> str:
    """The AppArmor profile of a container by the real runtime's own state (runc's, then crun's)."""
    given = invocation.global_options.get("root")
    for root in (given,) if given else _STATE_ROOTS:
        for name, keys in (("state.json", ("config", "apparmor_profile")), ("config.json", _CRUN_PROFILE)):
            try:
                path = f"{root}/{os.path.basename(invocation.container_id)}/{name}"  # noqa: PTH119
                with open(path, "rb") as stream:  # noqa: PTH123  pathlib costs start-up time
                    state = _object(json.loads(stream.read(16 << 20)))
            except (OSError, ValueError):
                continue
            profile = _object(state.get(keys[0])).get(keys[1])
            if isinstance(profile, str):
                return profile
    return ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

# SPDX-License-Identifier: Apache-2.0
"""`exec`: another process in a container that has a profile."""

from __future__ import annotations

import json
import os

from varmor.runc import configuration
from varmor.runc.invocation import Invocation

_PROFILE_PREFIX = "varmor-"
_STATE_ROOTS = ("/run/runc", "/run/crun")
_STATE_FILES = (("state.json", "init_process_pid"), ("status", "pid"))
_LARGEST_STATE = 16 << 20


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
    """The profile of the container's first process: a kernel's answer, the runtimes do not keep theirs."""
    pid = _init_pid(invocation)
    for part in _label(pid).rpartition(" (")[0].split("//&"):
        if part.startswith(_PROFILE_PREFIX):
            return part.split("//")[0]
    return ""


def _label(pid: int) -> str:
    """The AppArmor label of a process with its mode; empty when it has none."""
    for name in ("attr/apparmor/current", "attr/current"):
        try:
            with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as stream:  # noqa: PTH123
                return stream.read(4096).strip("\0\n ")
        except OSError:
            continue
    return ""


def _init_pid(invocation: Invocation) -> int:
    """The first process by the real runtime's own state (runc's, then crun's); 0 when it has none."""
    given = invocation.global_options.get("root")
    container = os.path.basename(invocation.container_id)  # noqa: PTH119  pathlib costs start-up time
    for root in (given,) if given else _STATE_ROOTS:
        for name, key in _STATE_FILES:
            try:
                with open(f"{root}/{container}/{name}", "rb") as stream:  # noqa: PTH123  as above
                    pid = json.loads(stream.read(_LARGEST_STATE))[key]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if isinstance(pid, int) and pid > 0:
                return pid
    return 0

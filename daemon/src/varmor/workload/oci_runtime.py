# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime behind varmor-runc, and what its seccomp can do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from varmor.errors import VarmorError
from varmor.runc import settings as wrapper

LOG_FLAG = "SECCOMP_FILTER_FLAG_LOG"
_CRUN_FLAGS = frozenset({LOG_FLAG, "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"})
_CRUN_HAS_FLAGS = (0, 15)
_VERSION = re.compile(r"^(\w+)(?: version)? v?(\d+)\.(\d+)(\S*)", re.MULTILINE)
_SECONDS = 20.0


class OciRuntimeError(VarmorError):
    """The runtime is missing or does not answer."""


@dataclass(frozen=True, slots=True)
class OciRuntime:
    """A runtime: ``name`` and ``version`` as it says them, and the seccomp filter flags that it takes."""

    path: str
    name: str
    version: str
    seccomp_flags: frozenset[str] = frozenset()

    def usable(self, seccomp: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The filter without the flags that this runtime refuses, and what that means, in words."""
        flags = seccomp.get("flags") or []
        kept = [flag for flag in flags if flag in self.seccomp_flags]
        if len(kept) == len(flags):
            return dict(seccomp), ()
        rest = {key: value for key, value in seccomp.items() if key != "flags"}
        if kept:
            rest["flags"] = kept
        if LOG_FLAG in kept or LOG_FLAG not in flags:
            return rest, ()
        return rest, (
            f"{self.name} {self.version} cannot ask the kernel to record what seccomp refuses: calls are refused "
            f"without an audit record; runc 1.2 and crun can",
        )


def configured() -> OciRuntime:
    """The runtime that varmor-runc uses.

    Raises:
        OciRuntimeError: there is none, or it does not answer.
    """
    try:
        path = wrapper.real_runtime(wrapper.load())
    except wrapper.SettingsError as error:
        raise OciRuntimeError(str(error)) from error
    return examine(path)


def examine(path: str) -> OciRuntime:
    """Ask a runtime who it is and what it can do.

    Raises:
        OciRuntimeError: it does not answer.
    """
    words = _output(path, "--version")
    found = _VERSION.search(words)
    if found is None:
        raise OciRuntimeError(f"{path} --version: expected a version, found {words[:200]!r}")
    name, major, minor, rest = found.groups()
    return OciRuntime(path, name, f"{major}.{minor}{rest}", _flags(path, name, (int(major), int(minor))))


def _flags(path: str, name: str, version: tuple[int, int]) -> frozenset[str]:
    """By the runtime's own list; a crun too old to have one takes all flags since long."""
    try:
        features = json.loads(_output(path, "features"))
        flags = features["linux"]["seccomp"].get("supportedFlags") or ()
        return frozenset(flag for flag in flags if isinstance(flag, str))
    except (OciRuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return _CRUN_FLAGS if name == "crun" and version >= _CRUN_HAS_FLAGS else frozenset()


def _output(path: str, word: str) -> str:
    try:
        done = subprocess.run(
            [path, word], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OciRuntimeError(f"{path} {word}: {error}") from error
    return done.stdout[: 1 << 20]

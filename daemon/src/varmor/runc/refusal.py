# SPDX-License-Identifier: Apache-2.0
"""A container that is not created, and how the engine above learns why."""

from __future__ import annotations

import json
import sys

from varmor.runc.invocation import Invocation


class Refusal(Exception):  # noqa: N818  what it is, said to the engine
    """The container is not created: its profile cannot be settled and the setting is ``fail: closed``."""


def fail(invocation: Invocation, message: str) -> int:
    """Say why, where engines look: standard error, and the log file in its format. The exit status."""
    print(message, file=sys.stderr)
    log = invocation.global_options.get("log")
    if log:
        import time  # noqa: PLC0415  seldom needed, and this module always

        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f'time="{now}" level=error msg={json.dumps(message)}'
        if invocation.global_options.get("log-format") == "json":
            line = json.dumps({"level": "error", "msg": message, "time": now})
        try:
            with open(log, "a", encoding="utf-8") as stream:  # noqa: PTH123  pathlib costs start-up time
                stream.write(line + "\n")
        except OSError as error:
            print(f"varmor-runc: {log}: {error.strerror}", file=sys.stderr)
    return 1

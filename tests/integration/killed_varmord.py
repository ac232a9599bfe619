# SPDX-License-Identifier: Apache-2.0
"""varmord that kills itself with SIGKILL at the step named in /run/varmor-test/kill-at. Runs on the node."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, "/usr/lib/varmor/python")

from varmor.node.daemon import serve
from varmor.node.journal_logging import configure
from varmor.node.settings import load

KILL_AT = Path("/run/varmor-test/kill-at")


def kill_at_step(name: str) -> None:
    """Die here when the test says so; the file is gone first, so that the restart lives."""
    if KILL_AT.exists() and KILL_AT.read_text().strip() == name:
        KILL_AT.rename(KILL_AT.with_name("killed"))
        os.kill(os.getpid(), signal.SIGKILL)


configure("info")
serve(load(), kill_at_step)

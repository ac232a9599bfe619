# SPDX-License-Identifier: Apache-2.0
"""Progress as plain lines on stderr, with the seconds since the program started."""

from __future__ import annotations

import sys
import time

_START = time.monotonic()


def say(text: str) -> None:
    """Print one line of progress, prefixed with the elapsed seconds."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True)

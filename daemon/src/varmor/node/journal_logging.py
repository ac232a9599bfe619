# SPDX-License-Identifier: Apache-2.0
"""Log lines with the priority prefixes that the journal understands (sd-daemon(3))."""

from __future__ import annotations

import logging
import os
import sys

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class _JournalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        # The journal ends an entry at a newline: every line of a trace carries the prefix.
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def configure(level: str) -> None:
    """Send log lines to standard error: with priorities under the journal, with time and level elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)

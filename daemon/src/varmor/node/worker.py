# SPDX-License-Identifier: Apache-2.0
"""The one thread in which the daemon changes the node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

STUCK_SECONDS = 300.0
"""A job that takes longer is taken for stuck; the watchdog is then no longer fed and systemd restarts the daemon."""

_T = TypeVar("_T")


class Worker:
    """Runs jobs one after the other, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._busy_since: float | None = None

    async def run(self, job: Callable[[], _T]) -> _T:
        """Run a job and return its result, or raise what it raised."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._timed, job)

    def _timed(self, job: Callable[[], _T]) -> _T:
        self._busy_since = time.monotonic()
        try:
            return job()
        finally:
            self._busy_since = None

    def stuck(self) -> bool:
        """Whether the job that runs now has been running for too long."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > STUCK_SECONDS

    def stop(self) -> None:
        """Let the running job end and take no more."""
        self._executor.shutdown(wait=True, cancel_futures=True)

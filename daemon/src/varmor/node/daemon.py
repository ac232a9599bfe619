# SPDX-License-Identifier: Apache-2.0
"""varmord: the event loop around the parts that :mod:`varmor.node.composition` makes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from varmor import __version__
from varmor.errors import VarmorError
from varmor.node import notify
from varmor.node.api import ApiServer, Handler
from varmor.node.composition import Parts, compose
from varmor.node.journal_logging import configure as configure_logging
from varmor.node.operations import Operation
from varmor.node.settings import DEFAULT_PATH, Settings, load
from varmor.node.worker import Worker

_LOG = logging.getLogger(__name__)


class Daemon:
    """Runs the parts until it is told to stop. ``parts`` must have been started."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._worker = Worker()
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._seen_policies = parts.directory.fingerprint()

    async def run(self) -> None:
        """Do the first pass, serve, and end cleanly on SIGTERM or SIGINT; SIGHUP asks for a pass."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._changed.set)
        self._listen_to_kernel(loop)
        await self._pass()
        server = ApiServer(self._settings.socket, self._handlers())
        await server.start()
        notify.ready(self._summary())
        tasks = [asyncio.create_task(job) for job in self._jobs()]
        await self._stopped.wait()
        notify.stopping()
        await server.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._worker.stop()

    def _jobs(self) -> list[Coroutine[Any, Any, None]]:
        return [self._resync(), self._scan(), self._feed_watchdog(), self._tick()]

    def _listen_to_kernel(self, loop: asyncio.AbstractEventLoop) -> None:
        for source in self._parts.event_sources:
            loop.add_reader(source.fd(), _guarded(source.drain))

    def _handlers(self) -> dict[str, Handler]:
        def handler(operation: Operation) -> Handler:
            async def handle(request: dict[str, Any]) -> dict[str, Any]:
                return await self._worker.run(lambda: operation(request))

            return handle

        return {name: handler(operation) for name, operation in self._parts.operations.table().items()}

    async def _pass(self) -> None:
        """A full pass. A fault in it is logged; the next pass tries again."""
        self._changed.clear()
        self._seen_policies = self._parts.directory.fingerprint()
        if await self._attempt("a pass over all policies", self._parts.operations.reconcile):
            self._settings.ready_marker.parent.mkdir(parents=True, exist_ok=True)
            self._settings.ready_marker.touch()
            await self._attempt("letting go what an earlier version left", self._parts.settle)
        notify.status(self._summary())

    async def _attempt(self, what: str, job: Callable[[], None]) -> bool:
        """Do a job that is done again later; whether it was finished. A failure is logged and does not end us."""
        try:
            await self._worker.run(job)
        except VarmorError as error:
            _LOG.error("%s was not finished: %s", what, error)
        except Exception:  # noqa: BLE001  a fault of ours must not take the enforcement's keeper away
            _LOG.exception("%s was not finished: a fault in varmord", what)
        else:
            return True
        return False

    def _summary(self) -> str:
        states = list(self._parts.reconciler.states.values())
        ready = sum(state.ready for state in states)
        refused = len(self._parts.reconciler.file_errors)
        trouble = f", {refused} files refused" if refused else ""
        return f"{ready} of {len(states)} policies in force{trouble}"

    async def _resync(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), self._settings.resync_seconds)
            except TimeoutError:
                _LOG.debug("periodic pass")
            await self._pass()

    async def _scan(self) -> None:
        """Look for edited manifests and for containers that came without the wrapper."""
        while True:
            await asyncio.sleep(self._settings.scan_seconds)
            if self._parts.directory.fingerprint() != self._seen_policies:
                self._changed.set()
            await self._attempt("a scan for containers", self._parts.operations.scan)

    async def _tick(self) -> None:
        """Let folded violations out when their time is over, and ask the sources what they only counted."""
        ticks = [_guarded(source.tick) for source in self._parts.event_sources]
        while True:
            await asyncio.sleep(1)
            for tick in ticks:
                tick()
            self._parts.violations.tick()

    async def _feed_watchdog(self) -> None:
        period = notify.watchdog_seconds()
        while period is not None:
            if not self._worker.stuck():
                notify.alive()
            await asyncio.sleep(period)


def _guarded(drain: Callable[[], None]) -> Callable[[], None]:
    """An event source that fails must not end the loop: the failure is logged, and counted by the source."""

    def call() -> None:
        try:
            drain()
        except Exception:  # noqa: BLE001
            _LOG.exception("events could not be read")

    return call


def serve(settings: Settings, step: Callable[[str], None] = lambda _name: None) -> None:
    """Compose and run the daemon until it is stopped. ``step``: see :class:`varmor.node.enforcement.Enforcement`."""
    parts = compose(settings, step)
    try:
        asyncio.run(Daemon(settings, parts).run())
    finally:
        parts.close()


def main() -> int:
    """Entry point of varmord; the exit status: 0 stopped, 1 cannot run, 2 wrong settings."""
    parser = argparse.ArgumentParser(prog="varmord", description="Keeps this node's varmor policies in force.")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="settings (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    configure_logging(options.log_level)
    if os.geteuid() != 0:
        _LOG.error("varmord must run as root: it loads profiles into the kernel")
        return 1
    try:
        serve(load(options.config))
    except VarmorError as error:
        _LOG.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The verbs that make a container: settle its profile, create it, bind it before it starts."""

from __future__ import annotations

import ctypes
import json
from typing import Any

from varmor.runc import child, configuration, daemon
from varmor.runc.invocation import Invocation
from varmor.runc.refusal import Refusal
from varmor.runc.settings import Settings

_PR_SET_CHILD_SUBREAPER = 36


class Creation:
    """``create`` and ``run``: settle the profile, create, bind, and for ``run`` start and wait."""

    def __init__(self, invocation: Invocation, settings: Settings, runtime: str) -> None:
        self._invocation = invocation
        self._settings = settings
        self._runtime = runtime
        self._file: configuration.Rewritten | None = None

    def run(self) -> int:
        """The exit status of the real runtime, or of the container for a ``run`` in the foreground."""
        try:
            decision = self._decide()
        except daemon.DaemonError as error:
            self._unsettled(str(error))
            child.become(self._runtime, self._invocation.words)
        if not decision.get("confine"):
            child.become(self._runtime, self._invocation.words)
        for message in decision.get("messages") or ():
            daemon.shout(f"container {self._invocation.container_id}: {message}")
        try:
            self._file = self._rewrite(decision)
        except configuration.ConfigurationError as error:
            self._unsettled(str(error))
            child.become(self._runtime, self._invocation.words)
        if self._invocation.verb == "create":
            return self._create(list(self._invocation.words))
        if "detach" in self._invocation.options:
            return self._create(self._invocation.for_create()) or self._start()
        return self._run_in_foreground()

    def _decide(self) -> dict[str, Any]:
        request = {"op": "container.create", "runtime_args": list(self._invocation.words), "runtime": self._runtime}
        return self._ask(request)

    def _rewrite(self, decision: dict[str, Any]) -> configuration.Rewritten:
        file = configuration.Rewritten(self._invocation.config)
        changed = configuration.confined(file.original, decision.get("apparmor"), decision.get("seccomp"))
        file.write(changed)
        return file

    def _create(self, words: list[str]) -> int:
        try:
            status = child.run(self._runtime, words)
        finally:
            self._restore()
        if status != 0:
            self._forget()
            return status
        try:
            self._bind()
        except daemon.DaemonError as error:
            self._unbound(str(error))
        return 0

    def _start(self) -> int:
        status = child.run(self._runtime, self._words("start"))
        if status != 0:
            self._remove()
        return status

    def _remove(self) -> None:
        words = [*self._invocation.global_words, "delete", "--force", self._invocation.container_id]
        child.run(self._runtime, words)
        self._forget()

    def _bind(self) -> None:
        pid = self._init_pid()
        if not pid:
            raise daemon.DaemonError("the runtime names no process of the container; its BPF rules are not bound")
        self._ask({"op": "container.created", "pid": pid})

    def _init_pid(self) -> int:
        file = self._invocation.options.get("pid-file")
        try:
            if file:
                with open(file, encoding="ascii") as stream:  # noqa: PTH123  pathlib costs start-up time
                    return int(stream.read(32))
            state = json.loads(child.output(self._runtime, self._words("state")))
            return int(state["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _run_in_foreground(self) -> int:
        """Create, bind, start, wait, delete. With a terminal the runtime itself must hold it: then AppArmor and
        seccomp are armed as always, and the daemon binds the BPF rules when it sees the container.
        """
        if self._has_terminal():
            self._unsettled("`run` with a terminal cannot wait for the BPF rules; use create and start")
            try:
                return child.run(self._runtime, list(self._invocation.words))
            finally:
                self._restore()
        _adopt_orphans()
        status = self._create(self._invocation.for_create())
        pid = self._init_pid() if status == 0 else 0
        if status != 0 or not pid:
            return status or 1
        status = self._start() or child.wait(pid)
        if "keep" not in self._invocation.options:
            child.run(self._runtime, [*self._invocation.global_words, "delete", self._invocation.container_id])
            self._forget()
        return status

    def _unsettled(self, reason: str) -> None:
        """The profile is not known or not armed: go on loudly, or refuse."""
        if self._settings.fail_closed:
            self._restore()
            raise Refusal(f"{reason}; it is not created (fail: closed)")
        daemon.report_unconfined(self._invocation.container_id, self._invocation.bundle, reason)

    def _unbound(self, reason: str) -> None:
        """The container exists but its BPF rules do not bind it: take it away again, or go on loudly."""
        if self._settings.fail_closed:
            self._remove()
        self._unsettled(reason)

    def _restore(self) -> None:
        if self._file is not None:
            self._file.restore()

    def _has_terminal(self) -> bool:
        process = self._file.original.get("process") if self._file is not None else None
        return isinstance(process, dict) and bool(process.get("terminal"))

    def _forget(self) -> None:
        tell_deleted(self._invocation, self._settings)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        identity = {"id": self._invocation.container_id, "bundle": self._invocation.bundle}
        return daemon.ask(self._settings, {**request, **identity})

    def _words(self, verb: str) -> list[str]:
        return [*self._invocation.global_words, verb, self._invocation.container_id]


def tell_deleted(invocation: Invocation, settings: Settings) -> None:
    """Let the daemon forget a container. When it is away, it finds out by itself."""
    request = {"op": "container.deleted", "id": invocation.container_id, "bundle": invocation.bundle}
    try:
        daemon.ask(settings, request)
    except daemon.DaemonError:
        return


def _adopt_orphans() -> None:
    """Become the parent of processes whose parent ends: the container's init, when ``create`` is over."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

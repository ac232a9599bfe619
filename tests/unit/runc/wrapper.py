# SPDX-License-Identifier: Apache-2.0
"""The wrapper as a process: a daemon's socket with given answers, a runtime that writes down what it is asked."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).resolve().parents[3] / "daemon/src"

# The real runtime's part: writes its words, what the bundle says meanwhile, and its descriptors.
_RUNTIME = """#!/bin/sh
here={here}
echo "$*" >> $here/calls
for word in "$@"; do case $word in create|start|state|delete|exec) verb=$word;; esac; done
case $verb in
  create) cp $here/bundle/config.json $here/seen.json; echo 4242 > $here/pid; [ -e $here/fail ] && exit 3 ;;
  state) echo '{{"pid": 4242}}' ;;
esac
if [ -e $here/descriptor ]; then [ -e /dev/fd/$(cat $here/descriptor) ] && echo inherited >> $here/calls; fi
exit 0
"""

_START = """
import sys
from varmor.runc import child, command, daemon
from varmor.runc.invocation import parse
from varmor.runc.settings import Settings
daemon.report_unconfined.__defaults__ = ("{here}/unconfined",)
daemon._SYSLOG = "{here}/log"
settings = Settings({closed}, "{here}/runtime", 5.0, "{here}/socket")
sys.exit(child.guarded(lambda: command._dispatch(parse(sys.argv[1:]), settings, {problem!r})))
"""


class Wrapper:
    """Runs the wrapper against ``answers`` by operation; an operation without an answer ends the connection."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self._server: socketserver.ThreadingUnixStreamServer | None = None
        runtime = here / "runtime"
        runtime.write_text(_RUNTIME.format(here=here))
        runtime.chmod(0o755)
        (here / "bundle").mkdir()
        (here / "bundle/config.json").write_text('{"process": {"args": ["sh"]}, "linux": {}}')

    def serve(self, **answers: dict[str, Any]) -> None:
        """Be the daemon; ``created`` stands for ``container.created``."""
        self.answers = {f"container.{name}": answer for name, answer in answers.items()}
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = json.loads(self.rfile.readline())
                outer.requests.append(request)
                answer = outer.answers.get(request["op"])
                if answer is not None:
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        self._server = socketserver.ThreadingUnixStreamServer(str(self.here / "socket"), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop being the daemon."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def run(
        self, *words: str, closed: bool = False, problem: str = "", pass_fds: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """One call of the wrapper."""
        code = _START.format(here=self.here, closed=closed, problem=problem)
        return subprocess.run(
            [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {str(_SOURCE)!r})\n{code}", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=pass_fds,
        )

    def calls(self) -> list[str]:
        """What the runtime was asked for."""
        path = self.here / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def seen(self) -> dict[str, Any]:
        """The configuration as the runtime saw it at ``create``."""
        seen: dict[str, Any] = json.loads((self.here / "seen.json").read_text())
        return seen

    def unconfined(self) -> dict[str, Any]:
        """The record that was left for the daemon."""
        record: dict[str, Any] = json.loads((self.here / "unconfined/web.json").read_text())
        return record

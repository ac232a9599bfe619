# SPDX-License-Identifier: Apache-2.0
"""What the wrapper does for each verb."""

from __future__ import annotations

import sys

from varmor.runc import child
from varmor.runc.invocation import Invocation, parse
from varmor.runc.refusal import Refusal, fail
from varmor.runc.settings import Settings, SettingsError, load, real_runtime

# The modules for creating and deleting bring sockets and more with them: they are imported where they are needed.


def run() -> int:
    """The whole command: settings, verb, exit status."""
    invocation = parse(sys.argv[1:])
    try:
        settings, problem = load(), ""
    except SettingsError as error:
        # Nobody can tell now which setting was meant: what makes containers is refused, the rest goes on.
        settings, problem = Settings(fail_closed=True), str(error)
    return child.guarded(lambda: _dispatch(invocation, settings, problem))


def _dispatch(invocation: Invocation, settings: Settings, problem: str) -> int:
    words = list(invocation.words)
    try:
        runtime = real_runtime(settings)
        if invocation.container_id and invocation.verb in ("create", "run"):
            return _create(invocation, settings, runtime, problem)
    except (SettingsError, Refusal) as error:
        return fail(invocation, f"varmor: container {invocation.container_id}: {error}")
    if invocation.container_id and invocation.verb == "delete":
        return _delete(invocation, settings, runtime)
    if invocation.container_id and invocation.verb == "exec":
        from varmor.runc.execution import confined_words  # noqa: PLC0415  see above

        words = confined_words(invocation)
    return child.become(runtime, words)


def _create(invocation: Invocation, settings: Settings, runtime: str, problem: str) -> int:
    from varmor.runc.creation import Creation  # noqa: PLC0415  see above

    if problem:
        raise Refusal(problem)
    return Creation(invocation, settings, runtime).run()


def _delete(invocation: Invocation, settings: Settings, runtime: str) -> int:
    from varmor.runc.creation import tell_deleted  # noqa: PLC0415  see above

    status = child.run(runtime, list(invocation.words))
    if status == 0:
        tell_deleted(invocation, settings)
    return status

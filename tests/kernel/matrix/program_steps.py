# SPDX-License-Identifier: Apache-2.0
"""Scenarios of rules about programs that must not run."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tests.kernel.matrix.calls import StepFailedError, execute
from tests.kernel.matrix.capability_steps import work
from tests.kernel.matrix.file_steps import both
from tests.kernel.matrix.scenario import Evasion, Scenario, Stage, Step, passes
from varmor.policy.types import Enforcer

LOADER = "/lib64/ld-linux-x86-64.so.2"
TRUE = "/bin/true"
_LOADER_FAILED = 127


def _by_name(name: str) -> Step:
    return lambda stage: execute(stage.directory / "bin" / name)


def _relative(name: str) -> Step:
    return lambda stage: execute(f"./{name}", directory=stage.directory / "bin")


def _bare(name: str) -> Step:
    return lambda stage: execute(name, directory=stage.directory / "bin")


def _through_link(name: str) -> Step:
    def step(stage: Stage) -> None:
        link = stage.path("somewhere/harmless")
        link.unlink(missing_ok=True)
        link.symlink_to(stage.directory / "bin" / name)
        execute(link)

    return step


def _by_descriptor(name: str) -> Step:
    return lambda stage: execute(os.open(stage.directory / "bin" / name, os.O_PATH))


def _by_proc(name: str) -> Step:
    return lambda stage: execute(f"/proc/self/root{stage.directory}/bin/{name}")


def load(program: str | Path) -> None:
    """Run a program by the dynamic loader, which ends with a status of its own when it may not open or map it."""
    try:
        execute(LOADER, "ld.so", str(program))
    except StepFailedError as error:
        if os.waitstatus_to_exitcode(error.status) == _LOADER_FAILED:
            raise PermissionError(errno.EACCES, str(error)) from error
        raise


def _by_loader(name: str) -> Step:
    return lambda stage: load(stage.directory / "bin" / name)


def _by_script(name: str) -> Step:
    def step(stage: Stage) -> None:
        script = stage.file("script", f"#!{stage.directory}/bin/{name}\n", mode=0o755)
        execute(script)

    return step


def _copy(name: str) -> Step:
    def step(stage: Stage) -> None:
        copy = stage.path("copied")
        shutil.copyfile(stage.directory / "bin" / name, copy)
        copy.chmod(0o755)
        execute(copy)

    return step


def _hard_link(name: str) -> Step:
    def step(stage: Stage) -> None:
        link = stage.path("hard-linked")
        link.unlink(missing_ok=True)
        os.link(stage.directory / "bin" / name, link)
        execute(link)

    return step


def _renamed(name: str) -> Step:
    def step(stage: Stage) -> None:
        path, aside = stage.directory / "bin" / name, stage.path("renamed")
        path.rename(aside)
        try:
            execute(aside)
        finally:
            aside.rename(path)

    return step


def ways(name: str) -> dict[str, Step | Evasion]:
    """Ways to run a program other than by its path."""
    return {
        "relative": _relative(name),
        "bare name": _bare(name),
        "symbolic link": _through_link(name),
        "descriptor": _by_descriptor(name),
        "/proc/self/root": _by_proc(name),
        "loader": _by_loader(name),
        "interpreter of a script": passes(_by_script(name), Enforcer.APPARMOR),
        "copy": _copy(name),
        "hard link": _hard_link(name),
        "rename": _renamed(name),
    }


def _install(*names: str) -> Step:
    def setup(stage: Stage) -> None:
        for name in (*names, "legitimate"):
            target = stage.path(f"bin/{name}")
            shutil.copyfile(Path(TRUE).resolve(), target)
            target.chmod(0o755)

    return setup


def program(*names: str, neighbours: tuple[str, ...] = (), extra: dict[str, Step | Evasion] | None = None) -> Scenario:
    """A rule against running these programs, but not these neighbours."""
    first, *rest = names
    return Scenario(
        attack=_by_name(first),
        neighbour=both(work, *(_by_name(name) for name in (*neighbours, "legitimate"))),
        evasions={**{f"program {name}": _by_name(name) for name in rest}, **ways(first), **(extra or {})},
        setup=_install(*names, *neighbours),
    )

# SPDX-License-Identifier: Apache-2.0
"""The test tiers: what each one runs and what it needs."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts import collection
from tests.cluster import programs

BIN = collection.ROOT / ".venv" / "bin"
PYTHON = str(BIN / "python")

Command = tuple[str, ...]


def _always() -> str:
    return ""


def _virtual_machines() -> str:
    """Why test nodes cannot run here; empty when they can. Their programs are installed by `tests.nodes setup`."""
    if platform.machine() != "x86_64":
        return f"test nodes are x86_64, this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "test nodes need root"
    if not Path("/etc/debian_version").exists():
        return "test nodes are built from Debian packages on a Debian machine"
    return ""


def _fuzzer() -> str:
    """Why coverage-guided fuzzing cannot run here."""
    return "" if platform.machine() == "x86_64" else "atheris is there for x86_64 only"


@dataclass(frozen=True, slots=True)
class Tier:
    """A group of tests. ``unavailable`` gives the reason why this machine cannot run it, or an empty string."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    unavailable: Callable[[], str] = _always


def environment() -> dict[str, str]:
    """The environment of every test command: the checkout as a collection, no colour codes, no skipped tests."""
    return {
        **collection.environment(),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PY_COLORS": "0",
        "VARMOR_FORBID_SKIPS": "1",
    }


def _tool(name: str, *arguments: str) -> Command:
    return (str(BIN / name), *arguments)


EVASIONS = tuple(
    f"tests/kernel/bpf/test_{name}.py"
    for name in ("binding", "directory", "evasion", "exec", "files", "lifecycle", "received_files")
)
"""The ways round the rules, and the life of the programs: tried on more than one kernel in every run."""


def on_kernel(suite: str, *tests: str) -> Command:
    """Tests in a light guest with the kernel of another Debian suite."""
    guest = (PYTHON, "-m", "tests.nodes", "guest", "--kernel", suite, "--timeout", "1800", "--")
    return (*guest, *_tool("pytest", "-q", *tests))


_BUILD: tuple[Command, ...] = (("bash", "scripts/bpf.sh"), (PYTHON, "-m", "tests.nodes", "setup"))

ALL: tuple[Tier, ...] = (
    Tier(
        "lint",
        "style, types, layers",
        (
            ("bash", "scripts/bpf.sh"),
            _tool("ruff", "check", "."),
            _tool("ruff", "format", "--check", "."),
            _tool("mypy", "daemon/src", "scripts", "tests", "bench"),
            _tool("lint-imports"),
        ),
    ),
    Tier("unit", "pure code, no root, no network", (_tool("pytest", "-q", "tests/unit"),)),
    Tier("fuzz", "parsers and automata against random input", (_tool("pytest", "-q", "tests/fuzz"),), _fuzzer),
    Tier("sanity", "ansible-lint, antsibull, ansible-test sanity", ((PYTHON, "-m", "scripts.sanity"),)),
    Tier(
        "kernel",
        "components on a stock kernel with AppArmor and BPF-LSM",
        (
            *_BUILD,
            on_kernel("bookworm", "tests/kernel"),
            on_kernel("trixie", *EVASIONS),
        ),
        _virtual_machines,
    ),
    Tier(
        "cluster",
        "the custom resource definitions on a Kubernetes API server",
        (_tool("pytest", "-q", "tests/cluster"),),
        programs.unavailable,
    ),
    Tier(
        "nodes",
        "the daemon, the role and the modules on whole nodes",
        (
            *_BUILD,
            (PYTHON, "-m", "scripts.dist"),
            _tool("pytest", "-q", "tests/nodes", "tests/integration"),
        ),
        _virtual_machines,
    ),
    Tier(
        "molecule",
        "the role by molecule: check, converge, idempotence, verify",
        (*_BUILD, (PYTHON, "-m", "scripts.dist"), _tool("molecule", "test")),
        _virtual_machines,
    ),
)

EXTRA = (
    Tier(
        "kernels",
        "all of the BPF enforcer on the kernels of Debian 13 and its backports",
        (
            *_BUILD,
            # a kernel may lack what a test needs; the reasons are shown
            ("env", "-u", "VARMOR_FORBID_SKIPS", *on_kernel("trixie", "tests/kernel/bpf")),
            ("env", "-u", "VARMOR_FORBID_SKIPS", *on_kernel("trixie-backports", "tests/kernel/bpf")),
        ),
        _virtual_machines,
    ),
)
"""Tiers that run only when they are named."""

# SPDX-License-Identifier: Apache-2.0
"""What all scenarios share, the enforcers, and the printed table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.bpf.conftest import pin_directory
from tests.kernel.confinement import unavailable
from tests.kernel.matrix.enforcement import Theatre, facts
from tests.kernel.matrix.shared import Props
from tests.kernel.matrix.table import Table
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.audit import AuditStream
from varmor.kernel.bpf.enforcer import BpfEnforcer

_OUT = Path("/out")
_TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def props(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Victims, listeners, devices: made once, whatever the number of scenarios."""
    if os.geteuid() != 0:
        pytest.skip("attacks are tried as root")
    made = Props(tmp_path_factory.mktemp("props"))
    yield made.values
    made.remove()


@pytest.fixture(scope="session")
def theatre(props: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """The enforcers of the guest."""
    if unavailable():
        pytest.skip(unavailable())
    bpf = BpfEnforcer(pins=pin_directory())
    support = bpf.supported()
    if not support.ok:
        pytest.skip(f"the BPF enforcer cannot run here: {support.reason}")
    apparmor = AppArmor(directory=tmp_path_factory.mktemp("profiles"))
    bpf.detach()
    bpf.start()
    stream = AuditStream()
    stream.start()
    made = Theatre(apparmor, bpf, stream, facts(apparmor), props)
    yield made
    made.remove()
    stream.close()
    bpf.detach()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """The table, which is printed at the end."""
    return pytestconfig.stash.setdefault(_TABLE, Table(".".join(os.uname().release.split(".")[:2])))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table, and leave it in the folder that the guest shares."""
    table = config.stash.get(_TABLE, None)
    if table is None or not table.cells:
        return
    terminalreporter.section("rules and enforcers")
    terminalreporter.write(table.as_text())
    if _OUT.is_dir() and os.access(_OUT, os.W_OK):
        (_OUT / "matrix.json").write_text(table.as_json(), encoding="utf-8")
        (_OUT / "matrix.txt").write_text(table.as_text(), encoding="utf-8")

# SPDX-License-Identifier: Apache-2.0
"""A workload that makes more events than anybody reads: it is refused all the same, and others are heard."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.bpf.conftest import Workload
from tests.kernel.bpf.rules import path
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.bpf.events import Withheld
from varmor.kernel.bpf.loader import EVENTS_PER_SECOND
from varmor.profile.types import Access, BpfProfile

FLOOD = 6 * EVENTS_PER_SECOND


def opens(file: Path, count: int) -> int:
    """How many of so many attempts to open a file succeed."""
    got = 0
    for _ in range(count):
        try:
            os.close(os.open(file, os.O_RDONLY))
            got += 1
        except PermissionError:
            pass
    return got


@pytest.mark.parametrize("deny", [True, False], ids=["denied", "recorded"])
def test_what_is_beyond_the_limit_is_counted(
    enforcer: BpfEnforcer, workload: Workload, second_workload: Workload, tmp_path: Path, *, deny: bool
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for confined in (workload, second_workload):
        confined.apply(BpfProfile(paths=(path(str(file), Access.READ, deny=deny),)))
    enforcer.withheld()
    assert workload.call(lambda: opens(file, FLOOD)) == ("0" if deny else str(FLOOD))
    assert second_workload.call(lambda: opens(file, 10)) == ("0" if deny else "10")
    events = enforcer.read_events()
    recorded = sum(event.workload == workload.number for event in events)
    withheld = enforcer.withheld()
    beyond = FLOOD - recorded
    assert beyond > 0
    assert withheld == {workload.number: Withheld(beyond, 0) if deny else Withheld(0, beyond)}
    assert sum(event.workload == second_workload.number for event in events) == 10
    assert enforcer.lost() == 0
    assert enforcer.withheld() == {}

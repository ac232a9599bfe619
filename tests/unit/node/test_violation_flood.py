# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

from tests.unit.node.violation_examples import violation
from varmor.node.violation_flood import Folder, identical, same_workload
from varmor.node.violation_record import Violation


def counts(found: list[Violation]) -> list[int]:
    return [one.count for one in found]


def test_a_burst_passes_and_the_rest_is_counted() -> None:
    folder = Folder(3, 10.0, identical, "identical")
    passed = [one for n in range(100) for one in folder.offer(violation(pid=n), n / 100)]
    assert counts(passed) == [1, 1, 1]
    assert list(folder.due(9.9)) == []
    folded = list(folder.due(10.0))
    assert (folded[0].count, folded[0].folded, folded[0].pid) == (97, "identical", 99)
    assert list(folder.all()) == []


def test_the_next_window_begins_anew() -> None:
    folder = Folder(1, 10.0, identical, "identical")
    found = [one for at in (0, 1, 2, 11, 12) for one in folder.offer(violation(), at)]
    assert counts(found) == [1, 2, 1]
    assert counts(list(folder.all())) == [1]


def test_nothing_is_folded_below_the_burst() -> None:
    folder = Folder(3, 10.0, identical, "identical")
    assert counts([one for at in range(3) for one in folder.offer(violation(), at)]) == [1, 1, 1]
    assert list(folder.due(100)) == []


def test_different_events_are_not_identical() -> None:
    folder = Folder(1, 10.0, identical, "identical")
    events = [violation(key=("open", f"/etc/{n}")) for n in range(5)] + [violation(workload=None)]
    assert len([one for event in events for one in folder.offer(event, 0)]) == 6


def test_a_workload_as_a_whole() -> None:
    folder = Folder(2, 10.0, same_workload, "workload")
    events = [violation(key=("open", f"/etc/{n}")) for n in range(5)]
    assert len([one for event in events for one in folder.offer(event, 0)]) == 2
    assert counts(list(folder.all())) == [3]


def test_the_table_is_bounded_and_nothing_is_lost() -> None:
    folder = Folder(1, 10.0, identical, "identical")
    total = 0
    for number in range(6000):
        for _ in range(2):
            total += sum(counts(list(folder.offer(replace(violation(), key=(str(number),)), 0))))
    assert len(folder._windows) <= 4096
    assert total + sum(counts(list(folder.all()))) == 12000

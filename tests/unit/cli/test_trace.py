# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from varmor.cli.trace import WorkloadError, as_json, as_text, cgroup_of, depth, running
from varmor.kernel.trace.program import UNKNOWN, Caller, Frame

_CALLER = Caller(7, "web", 257, -13, 3, (Frame("open+0x1 [libc.so.6]", 16), Frame(UNKNOWN, 32)))


def workload(name: str, id_: str, pid: int, *, is_running: bool = True) -> dict[str, Any]:
    return {"id": id_, "kind": "Container", "name": name, "running": is_running, "pid": pid}


def policies() -> list[dict[str, Any]]:
    web, job = workload("web", "abc1", 10), workload("job", "def2", 30, is_running=False)
    return [{"workloads": [web, workload("web", "abd3", 20)]}, {"workloads": [web, job, workload("db", "123", 40)]}]


def test_a_workload_by_name_or_by_the_beginning_of_its_id() -> None:
    assert running("db", policies()) == 40
    assert running("abc", policies()) == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("web", "'web' is the name of 2 workloads; give one of their ids: abc1, abd3"),
        ("job", "no running workload with a policy is called 'job'"),
        ("dbb", "did you mean 'db'?"),
    ],
)
def test_a_workload_that_is_not_one(name: str, message: str) -> None:
    with pytest.raises(WorkloadError) as refused:
        running(name, policies())
    assert message in str(refused.value)


def test_a_process_that_is_not_there() -> None:
    with pytest.raises(WorkloadError, match=r"process 4194305: No such file"):
        cgroup_of(2**22 + 1)


def test_depth() -> None:
    assert [depth(path) for path in ("/", "/a", "/a/b.slice/c")] == [0, 1, 3]


def test_a_caller_in_words() -> None:
    assert list(as_text([_CALLER])) == ["3 x openat = EACCES by web[7]", "    open+0x1 [libc.so.6]", "    0x20"]
    gone = Caller(7, "web", 257, 3, 1, (Frame(UNKNOWN, 32),))
    assert list(as_text([gone]))[1] == "    (it ended before its functions could be named)"


def test_a_caller_as_json() -> None:
    value = json.loads(as_json(_CALLER))
    assert (value["call"], value["result"], value["count"], value["pid"]) == ("openat", "EACCES", 3, 7)
    assert value["frames"][0] == {"name": "open+0x1 [libc.so.6]", "address": 16}


def test_results_are_numbers_or_errors() -> None:
    assert next(iter(as_text([Caller(1, "a", 257, 5, 1, ())]))) == "1 x openat = 5 by a[1]"

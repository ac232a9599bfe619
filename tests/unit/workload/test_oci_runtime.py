# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from varmor.workload.oci_runtime import LOG_FLAG, OciRuntimeError, examine


def program(directory: Path, version: str, features: object = None) -> str:
    script = directory / "runtime"
    answer = f"echo '{json.dumps(features)}'" if features is not None else "exit 1"
    script.write_text(f"#!/bin/sh\ncase $1 in --version) echo '{version}';; features) {answer};; esac\n")
    script.chmod(0o755)
    return str(script)


FILTER = {"defaultAction": "SCMP_ACT_ALLOW", "flags": [LOG_FLAG]}


def test_an_old_runc_takes_no_flags(tmp_path: Path) -> None:
    runtime = examine(program(tmp_path, "runc version 1.1.5+ds1", {"linux": {"seccomp": {"enabled": True}}}))
    assert (runtime.name, runtime.version) == ("runc", "1.1.5+ds1")
    filter_, messages = runtime.usable(FILTER)
    assert filter_ == {"defaultAction": "SCMP_ACT_ALLOW"}
    assert "runc 1.1.5+ds1 cannot ask the kernel to record" in messages[0]


def test_a_newer_one_says_which(tmp_path: Path) -> None:
    flags = {"linux": {"seccomp": {"supportedFlags": [LOG_FLAG]}}}
    assert examine(program(tmp_path, "runc version 1.2.4", flags)).usable(FILTER) == (FILTER, ())


def test_a_crun_without_features(tmp_path: Path) -> None:
    assert examine(program(tmp_path, "crun version 1.8.1")).usable(FILTER) == (FILTER, ())
    assert examine(program(tmp_path, "crun version 0.10")).usable(FILTER)[1]


def test_a_filter_without_flags_needs_nothing(tmp_path: Path) -> None:
    runtime = examine(program(tmp_path, "runc version 1.1.5"))
    assert runtime.usable({"defaultAction": "x"}) == ({"defaultAction": "x"}, ())


def test_something_else_is_said(tmp_path: Path) -> None:
    with pytest.raises(OciRuntimeError, match="expected a version, found 'hello"):
        examine(program(tmp_path, "hello"))
    with pytest.raises(OciRuntimeError, match="/nowhere/runc"):
        examine("/nowhere/runc")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from varmor.runc.invocation import parse

SHIM = [
    "--root",
    "/run/containerd/runc/default",
    "--log",
    "/b/log.json",
    "--log-format",
    "json",
    "--systemd-cgroup",
    "create",
    "--bundle",
    "/b",
    "--pid-file",
    "/b/init.pid",
    "--preserve-fds",
    "2",
    "web",
]


def test_what_containerd_says() -> None:
    found = parse(SHIM)
    assert (found.verb, found.container_id, found.bundle, found.config) == ("create", "web", "/b", "/b/config.json")
    assert found.options["pid-file"] == "/b/init.pid"
    assert found.global_options["log-format"] == "json"
    assert found.global_words == SHIM[:7]
    assert found.words == SHIM


@pytest.mark.parametrize(
    "words",
    [
        ["create", "-b", "/b", "web"],
        ["create", "--bundle=/b", "web"],
        ["create", "-b=/b", "web"],
        ["create", "-b/b", "web"],
        ["--debug", "create", "--no-pivot", "--bundle", "/b", "--", "web"],
        ["--root=/r", "--rootless", "auto", "create", "-b", "/b", "web"],
        ["--cgroup-manager", "systemd", "create", "-b", "/b", "web"],
    ],
)
def test_spellings(words: list[str]) -> None:
    found = parse(words)
    assert (found.verb, found.container_id, found.bundle) == ("create", "web", "/b")


def test_the_bundle_defaults_to_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert parse(["create", "web"]).bundle == str(tmp_path)
    assert parse(["create", "-b", "x", "web"]).bundle == f"{tmp_path}/x"
    assert parse(["create", "-f", "other.json", "web"]).config == f"{tmp_path}/other.json"


def test_exec_keeps_the_command_out_of_the_options() -> None:
    found = parse(["exec", "-t", "--process", "/tmp/p", "-d", "web", "sh", "-b", "x"])
    assert (found.verb, found.container_id, found.options) == (
        "exec",
        "web",
        {"t": "", "process": "/tmp/p", "detach": ""},
    )


@pytest.mark.parametrize("words", [[], ["--version"], ["-v"], ["--root", "/r"], ["list"], ["create"]])
def test_calls_without_a_container(words: list[str]) -> None:
    assert parse(words).container_id == ""


def test_run_becomes_create() -> None:
    found = parse(
        ["--root", "/r", "run", "-d", "--keep", "--bundle", "/b", "--no-subreaper", "--pid-file", "/p", "web"]
    )
    assert found.for_create() == ["--root", "/r", "create", "--bundle", "/b", "--pid-file", "/p", "web"]
    assert "detach" in found.options

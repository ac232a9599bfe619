# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.runc.wrapper import Wrapper

CONFINE = {
    "ok": True, "confine": True, "profile": "varmor-a", "apparmor": "varmor-a",
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}, "messages": [],
}  # fmt: skip
BOUND = {"ok": True, "bound": True}
REFUSED = {"ok": False, "error": {"kind": "state", "message": "no such thing", "subject": "", "field": ""}}


@pytest.fixture
def wrapper(tmp_path: Path) -> Iterator[Wrapper]:
    found = Wrapper(tmp_path)
    yield found
    found.close()


def create(wrapper: Wrapper) -> list[str]:
    return ["--log", f"{wrapper.here}/log.json", "--log-format", "json", "create", "--bundle", f"{wrapper.here}/bundle",
            "--pid-file", f"{wrapper.here}/pid", "web"]  # fmt: skip


def original(wrapper: Wrapper) -> bool:
    return (wrapper.here / "bundle/config.json").read_text() == '{"process": {"args": ["sh"]}, "linux": {}}'


@pytest.mark.parametrize("words", [["--version"], ["list"], ["start", "web"], ["kill", "web", "9"], ["create"]])
def test_other_verbs_go_straight_on(wrapper: Wrapper, words: list[str]) -> None:
    assert wrapper.run(*words).returncode == 0
    assert wrapper.calls() == [" ".join(words)]
    assert wrapper.requests == []


def test_create(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=BOUND)
    words = create(wrapper)
    done = wrapper.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert wrapper.calls() == [" ".join(words)]
    assert wrapper.seen()["process"]["apparmorProfile"] == "varmor-a"
    assert wrapper.seen()["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW"}
    assert original(wrapper)
    assert [request["op"] for request in wrapper.requests] == ["container.create", "container.created"]
    asked = wrapper.requests[0]
    assert (asked["id"], asked["bundle"]) == ("web", f"{wrapper.here}/bundle")
    assert (asked["runtime"], asked["runtime_args"]) == (f"{wrapper.here}/runtime", words)
    assert wrapper.requests[1]["pid"] == 4242


def test_without_a_pid_file_the_runtime_is_asked(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=BOUND)
    assert wrapper.run("create", "-b", f"{wrapper.here}/bundle", "web").returncode == 0
    assert wrapper.calls()[1:] == ["state web"]
    assert wrapper.requests[1]["pid"] == 4242


def test_descriptors_reach_the_runtime(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=BOUND)
    reader, writer = os.pipe()
    (wrapper.here / "descriptor").write_text(str(reader))
    try:
        wrapper.run(*create(wrapper), pass_fds=(reader,))
    finally:
        os.close(reader)
        os.close(writer)
    assert "inherited" in wrapper.calls()


def test_no_policy_no_change(wrapper: Wrapper) -> None:
    wrapper.serve(create={"ok": True, "confine": False})
    assert wrapper.run(*create(wrapper)).returncode == 0
    assert "apparmorProfile" not in wrapper.seen()["process"]
    assert len(wrapper.requests) == 1


def test_a_failed_create_is_handed_on_and_forgotten(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, deleted={"ok": True})
    (wrapper.here / "fail").touch()
    assert wrapper.run(*create(wrapper)).returncode == 3
    assert original(wrapper)
    assert [request["op"] for request in wrapper.requests] == ["container.create", "container.deleted"]


@pytest.mark.parametrize("daemon", ["away", "refusing", "dropping"])
def test_open_goes_on_and_leaves_a_record(wrapper: Wrapper, daemon: str) -> None:
    if daemon != "away":
        wrapper.serve(**({"create": REFUSED} if daemon == "refusing" else {}))
    assert wrapper.run(*create(wrapper)).returncode == 0
    assert "apparmorProfile" not in wrapper.seen()["process"]
    record = wrapper.unconfined()
    assert (record["id"], record["bundle"]) == ("web", f"{wrapper.here}/bundle")
    assert {"away": "is away", "refusing": "no such thing", "dropping": "ended early"}[daemon] in record["reason"]


def test_closed_refuses_and_says_why_where_engines_look(wrapper: Wrapper) -> None:
    done = wrapper.run(*create(wrapper), closed=True)
    assert done.returncode == 1
    assert "container web: varmord is away" in done.stderr
    assert "fail: closed" in done.stderr
    assert wrapper.calls() == []
    entry = json.loads((wrapper.here / "log.json").read_text())
    assert entry["level"] == "error"
    assert "varmord is away" in entry["msg"]
    assert not (wrapper.here / "unconfined").exists()


def test_closed_takes_an_unbound_container_away_again(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=REFUSED, deleted={"ok": True})
    done = wrapper.run(*create(wrapper), closed=True)
    assert done.returncode == 1
    assert "no such thing" in done.stderr
    assert wrapper.calls()[-1].endswith("delete --force web")
    assert original(wrapper)


def test_open_keeps_an_unbound_container_loudly(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=REFUSED)
    assert wrapper.run(*create(wrapper)).returncode == 0
    assert len(wrapper.calls()) == 1
    assert "no such thing" in wrapper.unconfined()["reason"]


def test_unreadable_settings_refuse_containers_only(wrapper: Wrapper) -> None:
    done = wrapper.run(*create(wrapper), closed=True, problem="/etc/varmor/runc.json: fail is 'x'")
    assert done.returncode == 1
    assert "fail is 'x'" in done.stderr
    assert wrapper.run("list", closed=True, problem="broken").returncode == 0


def test_delete_tells_the_daemon(wrapper: Wrapper) -> None:
    wrapper.serve(deleted={"ok": True})
    assert wrapper.run("delete", "--force", "web").returncode == 0
    assert [(request["op"], request["id"]) for request in wrapper.requests] == [("container.deleted", "web")]
    assert wrapper.run("delete", "other").returncode == 0


def test_run_in_the_background_is_create_bind_start(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=BOUND)
    bundle = f"{wrapper.here}/bundle"
    assert wrapper.run("run", "-d", "-b", bundle, "--pid-file", f"{wrapper.here}/pid", "web").returncode == 0
    assert wrapper.calls() == [f"create -b {bundle} --pid-file {wrapper.here}/pid web", "start web"]
    assert wrapper.seen()["process"]["apparmorProfile"] == "varmor-a"


def test_a_terminal_in_the_foreground_needs_the_runtime_itself(wrapper: Wrapper) -> None:
    wrapper.serve(create=CONFINE, created=BOUND)
    bundle = wrapper.here / "bundle"
    (bundle / "config.json").write_text('{"process": {"terminal": true}}')
    assert wrapper.run("run", "-b", str(bundle), "web").returncode == 0
    assert wrapper.calls() == [f"run -b {bundle} web"]
    assert "use create and start" in wrapper.unconfined()["reason"]
    assert wrapper.run("run", "-b", str(bundle), "web", closed=True).returncode == 1

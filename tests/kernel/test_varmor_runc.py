# SPDX-License-Identifier: Apache-2.0
"""varmor-runc before runc and crun, with real containers under AppArmor and seccomp."""

from __future__ import annotations

import json
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.confinement import NAME, text, unavailable
from varmor.kernel.apparmor import AppArmor
from varmor.workload.containers import Containers
from varmor.workload.oci_runtime import LOG_FLAG, examine
from varmor.workload.process import Processes

_BUSYBOX = Path("/bin/busybox")
_SOURCE = Path(__file__).resolve().parents[2] / "daemon/src"
_MISSING = unavailable() or ("" if _BUSYBOX.exists() else "busybox-static is not installed")

pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "-")

_START = """
import sys
sys.path.insert(0, {source!r})
from varmor.runc import child, command, daemon
from varmor.runc.invocation import parse
from varmor.runc.settings import Settings
settings = Settings({closed}, {runtime!r}, 30.0, {socket!r})
sys.exit(child.guarded(lambda: command._dispatch(parse(sys.argv[1:]), settings, "")))
"""
_CALLS = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
FILTER = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [_CALLS],
    "flags": [LOG_FLAG],
}


class Node:
    """A bundle, a runtime, and a daemon's socket that confines every container."""

    def __init__(self, here: Path, runtime: str) -> None:
        self.here = here
        self.runtime = runtime
        self.bundle = here / "bundle"
        self.setting_up: list[bool] = []
        self.requests: list[dict[str, Any]] = []
        self.filter, _messages = examine(runtime).usable(FILTER)
        programs = self.bundle / "rootfs/bin"
        programs.mkdir(parents=True)
        shutil.copy(_BUSYBOX, programs / "busybox")
        for name in ("sh", "cat", "mkdir", "sleep", "grep"):
            (programs / name).symlink_to("busybox")
        (self.bundle / "rootfs/proc").mkdir()
        subprocess.run([shutil.which("runc") or "runc", "spec", "-b", str(self.bundle)], check=True)

    def spec(self, *words: str) -> None:
        """What the container runs."""
        path = self.bundle / "config.json"
        config = json.loads(path.read_text())
        config["process"] |= {"args": list(words), "terminal": False}
        config["root"]["readonly"] = False
        path.write_text(json.dumps(config))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """As the daemon would."""
        self.requests.append(request)
        if request["op"] == "container.create":
            return {
                "ok": True,
                "confine": True,
                "profile": NAME,
                "apparmor": NAME,
                "seccomp": self.filter,
                "messages": [],
            }
        if request["op"] == "container.created":
            self.setting_up.append(Processes().being_set_up(request["pid"]))
        return {"ok": True, "bound": True}

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One call of the wrapper."""
        code = _START.format(source=str(_SOURCE), closed=True, runtime=self.runtime, socket=str(self.here / "socket"))
        out = self.here / "out"
        with out.open("w+") as stream:
            done = subprocess.run(
                [sys.executable, "-IS", "-c", code, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                timeout=120,
                check=False,
            )
            stream.seek(0)
            result = subprocess.CompletedProcess(words, done.returncode, stream.read())
        assert not check or done.returncode == 0, result.stdout
        return result


@pytest.fixture(params=["runc", "crun"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    runtime = shutil.which(request.param)
    if runtime is None or shutil.which("runc") is None:
        pytest.skip(f"{request.param} is not installed")
    apparmor = AppArmor(directory=tmp_path)
    apparmor.apply(NAME, text("audit deny /secret w,"))
    found = Node(tmp_path, runtime)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(json.dumps(found.answer(json.loads(self.rfile.readline()))).encode() + b"\n")

    server = socketserver.ThreadingUnixStreamServer(str(tmp_path / "socket"), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield found
    subprocess.run([runtime, "delete", "--force", "c1"], capture_output=True, check=False)
    server.shutdown()
    server.server_close()
    apparmor.remove(NAME)


ATTACK = "cat /proc/self/attr/current; grep ^Seccomp: /proc/self/status; mkdir /x; echo x > /secret; exit 7"


def test_run_in_the_foreground(node: Node) -> None:
    node.spec("sh", "-c", ATTACK)
    done = node.run("run", "--bundle", str(node.bundle), "c1", check=False)
    assert done.returncode == 7, done.stdout
    assert f"{NAME} (enforce)" in done.stdout
    assert "Seccomp:\t2" in done.stdout
    assert "can't create directory '/x': Operation not permitted" in done.stdout
    assert "can't create /secret: Permission denied" in done.stdout
    assert [request["op"] for request in node.requests] == [
        "container.create",
        "container.created",
        "container.deleted",
    ]
    assert node.setting_up == [True]
    assert "apparmorProfile" not in json.loads((node.bundle / "config.json").read_text())["process"]


def test_create_start_exec_delete(node: Node) -> None:
    node.spec("sleep", "100")
    pid_file = node.here / "pid"
    node.run("create", "--bundle", str(node.bundle), "--pid-file", str(pid_file), "c1")
    containers = Containers()
    mine = [found for found in containers.running() if found.bundle == node.bundle]
    assert mine == [], "a container that is created but not started is not yet one of those that run"
    node.run("start", "c1")
    assert any(found.pid == int(pid_file.read_text()) for found in containers.running())
    done = node.run("exec", "c1", "sh", "-c", ATTACK, check=False)
    assert f"{NAME} (enforce)" in done.stdout
    assert "Permission denied" in done.stdout
    assert done.returncode == 7
    process = node.here / "process.json"
    spec = json.loads((node.bundle / "config.json").read_text())["process"] | {
        "args": ["cat", "/proc/self/attr/current"]
    }
    process.write_text(json.dumps(spec))
    assert f"{NAME} (enforce)" in node.run("exec", "--process", str(process), "c1").stdout
    node.run("delete", "--force", "c1")
    assert node.requests[-1]["op"] == "container.deleted"


def test_a_container_that_cannot_be_created_leaves_nothing(node: Node) -> None:
    node.spec("sh")
    config = json.loads((node.bundle / "config.json").read_text())
    config["root"]["path"] = "no-such-rootfs"
    (node.bundle / "config.json").write_text(json.dumps(config))
    done = node.run("create", "--bundle", str(node.bundle), "c1", check=False)
    assert done.returncode != 0
    assert node.requests[-1]["op"] == "container.deleted"
    assert not list(node.bundle.glob("*.varmor-*"))

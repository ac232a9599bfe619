# SPDX-License-Identifier: Apache-2.0
"""The test nodes themselves, on real clones."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.nodes import CommandError, Node, NodeSet, NodeTimeoutError, runnable
from tests.nodes.nodeset import inventory, nodes_in, state_root

pytestmark = pytest.mark.skipif(runnable() is not None, reason=f"test nodes cannot run here: {runnable()}")
pytest_plugins = ["tests.nodes.fixtures"]


def test_the_node_is_a_plain_container_host(shared_node: Node) -> None:
    active = shared_node.get_text("/sys/kernel/security/lsm").split(",")
    assert {"apparmor", "bpf"} <= set(active)
    assert shared_node.run("systemctl is-system-running").stdout == "running\n"
    for name in ("python3-yaml", "python3-systemd", "python3-seccomp", "python3-libapparmor", "auditd"):
        assert shared_node.run(["dpkg", "-s", name], check=False).returncode != 0, name


def test_the_node_has_no_way_out(shared_node: Node) -> None:
    # Without the restriction the gateway would pass connections on to this machine's loopback.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = shared_node.run(f"echo out | timeout 5 busybox nc -w 3 10.0.2.2 {port}", check=False, timeout=20)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.returncode != 0


def test_a_container_serves_a_page(shared_node: Node) -> None:
    shared_node.run("ctr run -d --net-host localhost/nginx:1 web </dev/null")
    try:
        done = shared_node.wait_until("busybox wget -qO- http://127.0.0.1/", 30)
        assert "Served by nginx" in done.stdout
    finally:
        shared_node.run("ctr task kill -s SIGKILL web")
        shared_node.wait_until("ctr container rm web", 20)


def test_files_go_both_ways(shared_node: Node, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(bytes(range(256)))
    (tmp_path / "program").chmod(0o755)
    shared_node.put(tmp_path, "/srv/folder")
    shared_node.put(tmp_path / "program", "/srv/other/program")
    shared_node.put_text("one\n'two'\n", "/srv/text", 0o600)
    assert shared_node.get_text("/srv/text") == "one\n'two'\n"
    assert shared_node.run("cmp /srv/folder/program /srv/other/program && stat -c %a /srv/text").stdout == "600\n"
    assert shared_node.run(["test", "-x", "/srv/other/program"]).returncode == 0


def test_a_failure_comes_with_the_nodes_own_words(shared_node: Node) -> None:
    with pytest.raises(CommandError, match=r"shared: .*ended with status 2: .*no-such-file") as caught:
        shared_node.run(["ls", "/no-such-file"])
    assert caught.value.returncode == 2
    with pytest.raises(NodeTimeoutError, match="did not end within 1 s"):
        shared_node.run("sleep 30", timeout=1)
    with pytest.raises(NodeTimeoutError, match="not true after 1 s"):
        shared_node.wait_until("test -e /no-such-file", 1)


def test_clones_are_nodes_of_their_own() -> None:
    with NodeSet(["a1", "a2"]) as nodes:
        folder = nodes["a1"].folder
        said = {node.name: node.run("hostname; cat /etc/machine-id; date +%s").stdout.split() for node in nodes}
        now = time.time()
        nodes["a1"].put_text("x", "/srv/only-here")
        assert nodes["a2"].run(["test", "-e", "/srv/only-here"], check=False).returncode == 1
    assert [words[0] for words in said.values()] == ["a1", "a2"]
    assert said["a1"][1] != said["a2"][1]
    assert all(abs(now - int(words[2])) < 10 for words in said.values())
    assert not folder.exists()
    assert not nodes_in(state_root() / "sets" / folder.parent.name)


def test_a_power_loss_keeps_what_was_synced(node: Node) -> None:
    node.run("echo kept >/srv/kept && sync")
    node.kill_power()
    assert not node.is_running()
    node.boot()
    assert node.get_text("/srv/kept") == "kept\n"
    assert node.run("hostname").stdout == f"{node.name}\n"
    assert node.run("systemctl is-system-running").stdout == "running\n"


def test_a_node_without_the_lsms_is_a_matter_of_the_command_line() -> None:
    with NodeSet(["plain"], cmdline="lsm=landlock,yama") as nodes:
        active = nodes["plain"].get_text("/sys/kernel/security/lsm")
        assert "apparmor" not in active
        assert "bpf" not in active


def test_ansible_reaches_a_node_by_its_inventory(shared_node: Node, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(inventory([shared_node]))
    ansible = Path(__file__).parents[2] / ".venv/bin/ansible"
    done = subprocess.run(
        [str(ansible), "-i", str(hosts), "all", "-m", "ansible.builtin.ping"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"ping": "pong"' in done.stdout

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.nodes import cli, nodeset
from tests.nodes.errors import NodeError
from tests.nodes.node import Node
from tests.nodes.ssh import Connection

CONNECTION = Connection(2201, Path("/c/id"), Path("/c/known_hosts"), Path("/run/n1/ssh"))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VARMOR_NODES", str(tmp_path))
    return tmp_path


def test_an_inventory_is_yaml_that_ansible_reads() -> None:
    hosts: dict[str, dict[str, str | int]] = {"n1": {"ansible_port": 2201, "ansible_ssh_common_args": '-o A="b: c"'}}
    assert yaml.safe_load(nodeset.inventory_text(hosts)) == {"all": {"hosts": hosts}}
    assert yaml.safe_load(nodeset.inventory_text({})) == {"all": {"hosts": {}}}


def test_ssh_checks_the_host_key_and_asks_nothing() -> None:
    argv = CONNECTION.argv("-O", "exit")
    assert argv[:3] == ["ssh", "-F", "none"]
    assert argv[-5:] == ["-O", "exit", "-p", "2201", "root@127.0.0.1"]
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "ControlPath=/run/n1/ssh"} <= set(argv)


def test_a_node_that_is_not_there_is_named(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ssh", "n9", "true"]) == 1
    assert "node 'n9' is not there; start it with `up n9`" in capsys.readouterr().err


def test_a_broken_record_is_an_error(state: Path) -> None:
    (state / "n1").mkdir()
    (state / "n1" / "node.json").write_text('{"name": "n1"}')
    with pytest.raises(NodeError, match="not the record of a node"):
        Node.load(state / "n1")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "x" * 41])
def test_a_node_name_is_a_host_name(state: Path, name: str) -> None:
    with pytest.raises(NodeError, match="expected letters, digits and dashes"):
        Node.start(name, state / "x")


def test_names_must_differ(state: Path) -> None:
    with pytest.raises(NodeError, match="must differ"):
        nodeset.start_nodes(["n1", "n1"], state)


def test_a_set_is_swept_when_its_owner_is_dead(state: Path) -> None:
    mine, dead = state / "sets" / "mine", state / "sets" / "dead"
    for folder, owner in ((mine, [os.getpid(), nodeset.start_time(os.getpid())]), (dead, [os.getpid(), 1])):
        folder.mkdir(parents=True)
        (folder / "owner").write_text(json.dumps(owner))
    nodeset.sweep()
    assert mine.exists()
    assert not dead.exists()


def test_the_list_is_empty_without_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out == ""

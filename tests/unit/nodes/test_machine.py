# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

from tests.nodes import machine
from tests.nodes.vm import Memory, VirtualMachine

NODE = VirtualMachine(
    "n1", Path("/run/n,1"), Path("/c/vmlinuz"), Path("/c/initrd"), Path("/run/n,1/d.qcow2"), "qcow2", 2201, Memory(512)
)


def option(argv: list[str], name: str) -> list[str]:
    return [value for key, value in itertools.pairwise(argv) if key == name]


def test_a_comma_in_a_path_is_doubled() -> None:
    assert machine.quoted(Path("/a,b")) == "/a,,b"
    argv = NODE.command_line()
    assert option(argv, "-drive")[0].startswith("if=none,id=d0,file=/run/n,,1/d.qcow2,format=qcow2,")


def test_a_node_has_no_way_out_and_ssh_on_loopback_only() -> None:
    (network,) = option(NODE.command_line(), "-netdev")
    assert network == "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:2201-:22"


def test_the_mark_is_an_argument_of_the_machine() -> None:
    assert NODE.mark in NODE.command_line()


def test_a_clone_maps_the_memory_privately_and_waits_for_the_snapshot() -> None:
    assert Memory(512).backend() == "memory-backend-ram,id=m,size=512M"
    assert Memory(512, Path("/c/ram"), shared=True).backend().endswith("mem-path=/c/ram,share=on")
    assert Memory(512, Path("/c/ram")).backend().endswith("mem-path=/c/ram,share=off")
    assert NODE.command_line(incoming=True)[-2:] == ["-incoming", "defer"]
    assert "-incoming" not in NODE.command_line()


def test_no_list_of_lsms_is_forced_on_the_kernel() -> None:
    (arguments,) = option(NODE.command_line(), "-append")
    assert "lsm=" not in arguments
    assert "audit" not in arguments


def test_a_pid_that_is_no_qemu_is_not_the_machine() -> None:
    assert not machine.is_running(os.getpid(), NODE.mark)
    assert not machine.is_running(2**22 + 1, NODE.mark)
    machine.stop(os.getpid(), NODE.mark)


_FIRST_THREAD_ENDS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).syscall(60, 0)
"""


def test_a_machine_is_there_until_its_last_thread_has_ended(tmp_path: Path) -> None:
    program = tmp_path / machine.PROGRAM
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", _FIRST_THREAD_ENDS, NODE.mark], stdin=subprocess.PIPE) as process:
        status = Path(f"/proc/{process.pid}/status")
        while "State:\tZ" not in status.read_text():
            assert process.poll() is None
        assert machine.is_running(process.pid, NODE.mark)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    assert not machine.is_running(process.pid, NODE.mark)


def test_the_tail_of_a_console_is_printable(tmp_path: Path) -> None:
    path = tmp_path / "serial"
    path.write_bytes(b"one\r\n\x1b[0;32mtwo\x1b[0m\r\n\xff\n")
    assert machine.tail(path, 2) == "two\n\ufffd"
    assert "is not there" in machine.tail(tmp_path / "none")

# SPDX-License-Identifier: Apache-2.0
"""The command ``python -m tests.nodes``."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.nodes import host
from tests.nodes.errors import NodeError, NodeTimeoutError
from tests.nodes.guest import GuestOptions, run_guest
from tests.nodes.image import node_image
from tests.nodes.node import Node
from tests.nodes.nodeset import NodeSet, inventory, nodes_in, start_nodes, state_root, stop_nodes, sweep
from tests.nodes.progress import say


def _guest(arguments: argparse.Namespace) -> int:
    options = GuestOptions(
        suite=arguments.kernel,
        timeout=arguments.timeout,
        icount=arguments.icount,
        memory=arguments.memory,
        cmdline=arguments.cmdline,
    )

    def show(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def complain(data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    result = run_guest(arguments.command, options, out=arguments.out, on_stdout=show, on_stderr=complain)
    if arguments.console:
        sys.stderr.write(result.console)
    return result.returncode


def _image(arguments: argparse.Namespace) -> int:
    print(node_image(arguments.suite).folder)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    start_nodes(arguments.names, state_root(), suite=arguments.suite, cmdline=arguments.cmdline)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    sweep()
    nodes = _chosen(arguments.names)
    stop_nodes(nodes)
    for node in nodes:
        say(f"node {node.name}: gone")
    return 0


def _list(_arguments: argparse.Namespace) -> int:
    for node in nodes_in(state_root()):
        state = "running" if node.is_running() else "off"
        print(f"{node.name}\t{state}\t{node.suite}\tport {node.port}\t{node.serial_log}")
    return 0


def _inventory(arguments: argparse.Namespace) -> int:
    print(inventory([node for node in _chosen(arguments.names) if node.is_running()]), end="")
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    return _attached(_named(arguments.name), arguments.command)


def _shell(arguments: argparse.Namespace) -> int:
    if arguments.name:
        return _attached(_named(arguments.name), [])
    with NodeSet(["shell"], suite=arguments.suite, cmdline=arguments.cmdline) as nodes:
        say("a throw-away node; it is removed when the shell ends")
        return _attached(nodes["shell"], [])


def _chosen(names: list[str]) -> list[Node]:
    """The nodes that are there, of those named; all without a name."""
    return [node for node in nodes_in(state_root()) if not names or node.name in names]


def _named(name: str) -> Node:
    return Node.load(state_root() / name)


def _attached(node: Node, command: list[str]) -> int:
    """Run ssh with the caller's own terminal; returns the command's status."""
    words = [shlex.join(command)] if len(command) > 1 else command
    return subprocess.run(node.ssh_argv(*words), check=False).returncode


def _setup(_arguments: argparse.Namespace) -> int:
    host.setup()
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tests.nodes", description="Test nodes and the light guest.")
    verbs = top.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("setup", help="install the Debian packages that test nodes need")
    verb.set_defaults(run=_setup)
    verb = verbs.add_parser(
        "image", help="build the node image, or check that the cached one is right; prints its folder"
    )
    verb.add_argument("--suite", default="bookworm", help="bookworm or trixie")
    verb.set_defaults(run=_image)
    _add_node_verbs(verbs)
    verb = verbs.add_parser("guest", help="run one command on a stock kernel over the machine's own root")
    verb.add_argument("--kernel", default="bookworm", metavar="SUITE", help="bookworm, trixie or trixie-backports")
    verb.add_argument("--icount", action="store_true", help="the guest's clock counts instructions, one processor")
    verb.add_argument("--timeout", type=float, default=300, metavar="S", help="seconds for the whole run")
    verb.add_argument("--memory", type=int, default=4096, metavar="MIB")
    verb.add_argument("--cmdline", default="", help="more of the kernel's command line")
    verb.add_argument("--out", type=Path, help="the folder that the guest sees as /out, writable")
    verb.add_argument("--console", action="store_true", help="print the kernel's console at the end")
    verb.add_argument("command", nargs="+", metavar="CMD")
    verb.set_defaults(run=_guest)
    return top


def _add_node_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("up", help="start nodes; those that run already are left alone")
    verb.add_argument("names", nargs="+", metavar="NAME")
    _add_kind(verb)
    verb.set_defaults(run=_up)
    verb = verbs.add_parser("list", help="name, state, suite, port and console log of every node")
    _add_state(verb)
    verb.set_defaults(run=_list)
    for name, run, words in (
        ("down", _down, "stop and remove nodes, all without a name"),
        ("inventory", _inventory, "print an Ansible inventory of the running nodes, or of those named"),
    ):
        verb = verbs.add_parser(name, help=words)
        verb.add_argument("names", nargs="*", metavar="NAME")
        _add_state(verb)
        verb.set_defaults(run=run)
    verb = verbs.add_parser("ssh", help="run a command on a node as root; one word goes to the node's shell as it is")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("command", nargs="+", metavar="CMD")
    _add_state(verb)
    verb.set_defaults(run=_ssh)
    verb = verbs.add_parser("shell", help="a shell on a node; without a name on a throw-away one")
    verb.add_argument("name", nargs="?", metavar="NAME")
    _add_kind(verb)
    verb.set_defaults(run=_shell)


def _add_kind(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--suite", default="bookworm", help="bookworm or trixie")
    verb.add_argument("--cmdline", default="", help="more of the kernel's command line; the node is booted then")
    _add_state(verb)


def _add_state(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--state", metavar="DIR", help="the folder of the nodes (default $VARMOR_NODES or /run/varmor-nodes)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (124 for a timeout)."""
    arguments = parser().parse_args(argv)
    if getattr(arguments, "state", None):
        os.environ["VARMOR_NODES"] = arguments.state
    try:
        status: int = arguments.run(arguments)
    except NodeTimeoutError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 124
    except NodeError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return status

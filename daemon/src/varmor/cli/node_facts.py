# SPDX-License-Identifier: Apache-2.0
"""For which node a command compiles: this machine, unless the arguments say otherwise."""

from __future__ import annotations

import argparse
import os
import platform
import re
from dataclasses import replace

from varmor.cli.apparmor_check import local_facts
from varmor.profile.types import NodeFacts

_VERSION = re.compile(r"(\d+)\.(\d+)")


def version(text: str) -> tuple[int, int]:
    """A version of two numbers, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    match = _VERSION.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version; expected one such as 6.12")
    return int(match[1]), int(match[2])


def add_fact_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that describe another node."""
    parser.add_argument("--kernel", type=version, metavar="RELEASE", help="compile for this Linux, such as 6.12")
    parser.add_argument("--apparmor", type=version, metavar="VERSION", help="compile for this apparmor_parser")
    parser.add_argument("--machine", choices=("x86_64", "aarch64"), help="compile for this processor")


def facts_of(arguments: argparse.Namespace) -> NodeFacts:
    """The facts of this machine, overridden by the arguments."""
    facts = NodeFacts(machine=platform.machine(), kernel=version(os.uname().release))
    if arguments.apparmor is None:
        facts = local_facts(facts)
    else:
        newer = arguments.apparmor >= (4, 0)
        facts = replace(facts, apparmor_parser=arguments.apparmor, apparmor_abi=("3.0", "4.0") if newer else ("3.0",))
    if arguments.kernel is not None:
        facts = replace(facts, kernel=arguments.kernel)
    if arguments.machine is not None:
        facts = replace(facts, machine=arguments.machine)
    return facts

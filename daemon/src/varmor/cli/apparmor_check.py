# SPDX-License-Identifier: Apache-2.0
"""Checking AppArmor text with the machine's own parser, without loading anything."""

from __future__ import annotations

from dataclasses import replace

from varmor.kernel.apparmor_parser import AppArmorError, AppArmorTextError, Parser
from varmor.policy.types import Policy
from varmor.profile.types import NodeFacts, Profile


def parser_program() -> str | None:
    """The path of apparmor_parser, None where it is not installed."""
    return Parser().path()


def local_facts(facts: NodeFacts) -> NodeFacts:
    """``facts`` with the version of this machine's parser and its ABI files, where there is one."""
    parser = Parser()
    if parser.path() is None:
        return facts
    try:
        version = parser.version()
    except AppArmorError:
        return facts
    return replace(facts, apparmor_parser=version, apparmor_abi=parser.abi_files())


def check(program: str, policy: Policy, profile: Profile) -> None:
    """Compile the profile's text without a kernel.

    Raises:
        PolicyError: the parser refuses it, at the manifest's line when a custom rule is to blame.
        AppArmorError: the parser could not be run.
    """
    if profile.apparmor is None:
        return
    try:
        Parser(program).check(profile.name, profile.apparmor)
    except AppArmorTextError as error:
        raise error.about(policy) from error

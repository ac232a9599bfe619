# SPDX-License-Identifier: Apache-2.0
"""What a profile says of one act: each enforcer's answer with the rule behind it, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from varmor.advice import bpf_rules
from varmor.advice.apparmor_text import Section, Statement, sections
from varmor.advice.path_rules import Verdict
from varmor.catalog.capabilities import NAMES
from varmor.profile.seccomp_simulate import simulate
from varmor.profile.types import BpfProfile, Profile, SocketProtocol


@dataclass(frozen=True, slots=True)
class PathAct:
    """An access (``read``, ``write``, ``append``, ``exec``, ``map``) to a path, as the mount namespace has it."""

    access: str
    path: str


@dataclass(frozen=True, slots=True)
class ConnectAct:
    """A connection to an address and port."""

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True)
class SocketAct:
    """Making a socket; numbers of AF_ and SOCK_, and the protocol that the kernel takes."""

    domain: int
    type: int
    protocol: SocketProtocol
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CapabilityAct:
    """The use of a capability, by number."""

    number: int


@dataclass(frozen=True, slots=True)
class OperationAct:
    """An operation that is judged as a whole, such as ``userns_create``."""

    operation: str


@dataclass(frozen=True, slots=True)
class SyscallAct:
    """A system call with up to six arguments, in the numbers of an ABI (``SCMP_ARCH_*``)."""

    name: str
    args: tuple[int, ...] = ()
    arch: str = "SCMP_ARCH_X86_64"


Act = PathAct | ConnectAct | SocketAct | CapabilityAct | OperationAct | SyscallAct


@dataclass(frozen=True, slots=True)
class Answer:
    """What one enforcer does. ``origin`` names the rule (empty: no rule speaks about it), ``detail`` adds words."""

    enforcer: str
    verdict: Verdict
    origin: str = ""
    detail: str = ""


def judge(profile: Profile, act: Act, executable: str = "") -> list[Answer]:
    """The answers of all enforcers of the profile that have a say in such an act.

    ``executable`` is a program whose own rules (``targets``) hold for the one who acts.
    """
    return [*_apparmor(profile, act, executable), *_bpf(profile, act, executable), *_seccomp(profile, act)]


def _apparmor(profile: Profile, act: Act, executable: str) -> Iterator[Answer]:
    if profile.apparmor is None:
        return
    found = sections(profile.apparmor)
    section = next((item for item in found if executable and executable in item.executables), found[0])
    if isinstance(act, PathAct):
        verdict, origin = section.path_rules().judge_path(act.path, act.access)
        yield Answer("AppArmor", verdict, origin)
        return
    wanted = _statement_words(act)
    if wanted:
        yield _statement(section, *wanted)


def _statement_words(act: Act) -> tuple[str, frozenset[str]] | None:
    """The class of rule that speaks about an act, and the words that such a rule may hold."""
    match act:
        case CapabilityAct(number):
            return "capability", frozenset({NAMES[number]})
        case SocketAct():
            return "network", frozenset(act.names)
        case ConnectAct(address):
            return "network", frozenset({"inet" if address.version == 4 else "inet6", "stream", "tcp"})
        case OperationAct("userns_create"):
            return "userns", frozenset({"create"})
    return None


def _statement(section: Section, name: str, words: frozenset[str]) -> Answer:
    def speaks(statement: Statement) -> bool:
        first, *rest = statement.body.replace(",", " ").split()
        return first == name and words.issuperset(rest)

    speaking = [statement for statement in section.statements if speaks(statement)]
    denials = [statement for statement in speaking if statement.deny]
    allowed = any(not statement.deny for statement in speaking)
    mediated = allowed or denials or name != "userns"
    denied = bool(denials) or (mediated and not allowed and not section.complain)
    recorded = any(statement.audit for statement in speaking) or (mediated and not allowed and not denials)
    deciding = denials or [statement for statement in speaking if statement.audit]
    return Answer("AppArmor", Verdict(denied, bool(recorded)), deciding[0].origin if deciding else "")


def _bpf(profile: Profile, act: Act, executable: str) -> Iterator[Answer]:
    if profile.bpf is None:
        return
    rules = next(
        (group.profile for group in profile.bpf.executables if executable and executable in group.executables),
        profile.bpf,
    )
    judged = _bpf_judged(rules, act)
    if judged is not None:
        yield Answer("BPF", *judged)


def _bpf_judged(rules: BpfProfile, act: Act) -> bpf_rules.Judged | None:
    match act:
        case PathAct(access, path):
            return bpf_rules.path_rules(rules).judge_path(path, access)
        case ConnectAct(address, port):
            return bpf_rules.judge_egress(rules, address, port)
        case SocketAct(domain, kind, protocol):
            return bpf_rules.judge_socket(rules, domain, kind, protocol)
        case CapabilityAct(number):
            return bpf_rules.judge_capability(rules, number)
        case OperationAct(operation):
            return bpf_rules.judge_operation(rules, operation)
    return None


def _seccomp(profile: Profile, act: Act) -> Iterator[Answer]:
    if profile.seccomp is None or not isinstance(act, SyscallAct):
        return
    decision = simulate(profile.seccomp, act.name, act.args, arch=act.arch)
    action = decision.action
    name = action.name if action.errno is None else f"{action.name} errno {action.errno}"
    verdict = Verdict(action.denies, decision.recorded)
    yield Answer("Seccomp", verdict, "", f"{name}: {decision.why}" if decision.why else name)

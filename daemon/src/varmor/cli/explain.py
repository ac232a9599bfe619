# SPDX-License-Identifier: Apache-2.0
"""``varmor explain``: what the policies say of one act, enforcer by enforcer, without a kernel."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from varmor.advice.judgement import (
    Act,
    Answer,
    CapabilityAct,
    ConnectAct,
    OperationAct,
    PathAct,
    SocketAct,
    SyscallAct,
    judge,
)
from varmor.catalog.capabilities import NAMES
from varmor.cli.node_facts import add_fact_arguments, facts_of
from varmor.cli.sources import compile_all
from varmor.errors import VarmorError
from varmor.policy.nearest import did_you_mean
from varmor.profile.bpf_words import DOMAINS, TYPES
from varmor.profile.seccomp_names import is_known
from varmor.profile.seccomp_names import names as syscall_names
from varmor.profile.tables import SWITCHES
from varmor.profile.types import Profile, SocketProtocol

_ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "x86": "SCMP_ARCH_X86",
    "x32": "SCMP_ARCH_X32",
    "aarch64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
}
_ACTS = (
    "read PATH, write PATH, append PATH, exec PATH, map PATH, connect ADDRESS PORT, socket DOMAIN [TYPE [PROTOCOL]], "
    "capability NAME, operation NAME, syscall NAME [ARGUMENT ...]"
)


class ActError(VarmorError):
    """An act that cannot be asked about."""

    exit_code = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``varmor explain``."""
    parser.add_argument("policy", metavar="POLICY", help="a manifest, a directory of manifests, or - for stdin")
    parser.add_argument("act", metavar="ACT", choices=tuple(_READERS), help=f"what is done, one of: {_ACTS}")
    parser.add_argument("words", nargs="+", metavar="OBJECT", help="to what; numbers of arguments may be hexadecimal")
    parser.add_argument("--executable", default="", metavar="PATH", help="by a program that has rules of its own")
    parser.add_argument("--abi", choices=tuple(_ARCHITECTURES), default=None, help="the ABI of a system call")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    add_fact_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what each enforcer of each policy answers."""
    facts = facts_of(arguments)
    abi = arguments.abi or facts.machine
    act = read_act(arguments.act, arguments.words, _ARCHITECTURES.get(abi, abi))
    asked = " ".join([arguments.act, *arguments.words])
    profiles = compile_all([arguments.policy], facts)
    answers = [(profile, judge(profile, act, arguments.executable)) for profile in profiles]
    if arguments.json:
        print(json.dumps([_document(profile, asked, found) for profile, found in answers], indent=2))
    else:
        for profile, found in answers:
            print("\n".join([f"{profile.policy}: {asked}: {_together(found)}", *map(_line, found)]))
    return 0


def read_act(name: str, words: Sequence[str], arch: str) -> Act:
    """The act that words describe.

    Raises:
        ActError: the words do not fit the act, or name something that does not exist.
    """
    reader = _READERS[name]
    return reader(name, tuple(words), arch)


def _path(name: str, words: tuple[str, ...], _arch: str) -> Act:
    (path,) = _count(name, words, 1, 1)
    if not path.startswith("/"):
        raise ActError(f"{name} {path}: expected a full path such as /etc/passwd")
    return PathAct(name, path)


def _connect(name: str, words: tuple[str, ...], _arch: str) -> Act:
    address, *port = _count(name, words, 1, 2)
    try:
        return ConnectAct(ip_address(address), int(port[0]) if port else 0)
    except ValueError as error:
        raise ActError(f"{name} {' '.join(words)}: {error}; expected an address and a port") from error


def _socket(name: str, words: tuple[str, ...], _arch: str) -> Act:
    domain, kind, protocol = (*_count(name, words, 1, 3), "stream", "")[:3] if len(words) < 2 else (*words, "")[:3]
    if domain not in DOMAINS:
        raise ActError(f"{name}: unknown domain {domain!r}{did_you_mean(domain, DOMAINS)}")
    if kind not in TYPES:
        raise ActError(f"{name}: unknown type {kind!r}; expected one of {', '.join(TYPES)}")
    implied = {"stream": "tcp", "dgram": "udp"}.get(kind, "other") if domain in ("inet", "inet6") else "other"
    classes = {member.name.lower(): member for member in SocketProtocol if member.name}
    taken = protocol or implied
    if taken not in classes:
        raise ActError(f"{name}: unknown protocol {protocol!r}; expected one of {', '.join(classes)}")
    names = (domain, kind, *((taken,) if taken != "other" else ()))
    return SocketAct(DOMAINS[domain], TYPES[kind], classes[taken], names)


def _capability(name: str, words: tuple[str, ...], _arch: str) -> Act:
    (word,) = _count(name, words, 1, 1)
    wanted = word.lower().removeprefix("cap_").replace("-", "_")
    if wanted not in NAMES:
        raise ActError(f"{name}: unknown capability {word!r}{did_you_mean(wanted, NAMES)}")
    return CapabilityAct(NAMES.index(wanted))


def _operation(name: str, words: tuple[str, ...], _arch: str) -> Act:
    (word,) = _count(name, words, 1, 1)
    if word not in SWITCHES:
        raise ActError(f"{name}: unknown operation {word!r}{did_you_mean(word, SWITCHES)}; all: {', '.join(SWITCHES)}")
    return OperationAct(word)


def _syscall(name: str, words: tuple[str, ...], arch: str) -> Act:
    call, *numbers = _count(name, words, 1, 7)
    if not is_known(call):
        raise ActError(f"{name}: unknown syscall {call!r}{did_you_mean(call, syscall_names())}")
    try:
        return SyscallAct(call, tuple(int(number, 0) & 0xFFFFFFFFFFFFFFFF for number in numbers), arch)
    except ValueError as error:
        raise ActError(f"{name} {' '.join(words)}: {error}; arguments are numbers such as 3 or 0x10000000") from error


def _count(name: str, words: tuple[str, ...], low: int, high: int) -> tuple[str, ...]:
    if not low <= len(words) <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        raise ActError(f"{name} {' '.join(words)}: expected {wanted} words after {name}, found {len(words)}")
    return words


_READERS: dict[str, Callable[[str, tuple[str, ...], str], Act]] = {
    **dict.fromkeys(("read", "write", "append", "exec", "map"), _path),
    "connect": _connect,
    "socket": _socket,
    "capability": _capability,
    "operation": _operation,
    "syscall": _syscall,
}


def _together(answers: Sequence[Answer]) -> str:
    """What the workload gets: one refusal is enough."""
    if not answers:
        return "no enforcer of this policy has a say in it"
    denied = any(answer.verdict.denied for answer in answers)
    recorded = any(answer.verdict.recorded for answer in answers)
    return ("denied" if denied else "allowed") + (" and recorded" if recorded else "")


def _line(answer: Answer) -> str:
    why = answer.detail or (f"by {answer.origin}" if answer.origin else "no rule speaks about it")
    return f"  {answer.enforcer:9} {answer.verdict!s:20} {why}"


def _document(profile: Profile, asked: str, answers: Sequence[Answer]) -> dict[str, object]:
    return {
        "policy": str(profile.policy),
        "act": asked,
        "denied": any(answer.verdict.denied for answer in answers),
        "recorded": any(answer.verdict.recorded for answer in answers),
        "answers": [
            {
                "enforcer": answer.enforcer,
                "denied": answer.verdict.denied,
                "recorded": answer.verdict.recorded,
                "origin": answer.origin,
                "detail": answer.detail,
            }
            for answer in answers
        ],
    }

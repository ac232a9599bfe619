# SPDX-License-Identifier: Apache-2.0
"""A profile as text for people: what each enforcer would load."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from varmor.catalog.capabilities import NAMES
from varmor.profile.bpf_words import ALL_FLAGS, DOMAINS, EVERY_MOUNT, MOUNT_FLAGS, PROTOCOLS, PTRACE, TYPES
from varmor.profile.types import (
    Access,
    AllowList,
    BpfProfile,
    EgressRule,
    MountRule,
    PathRule,
    Profile,
    PtraceRule,
    SocketProtocol,
    SocketRule,
)

_Line = tuple[bool, bool, str, str]
_Listed = PathRule | EgressRule | MountRule | SocketRule | PtraceRule


def text_lines(profile: Profile, enforcer: str | None = None) -> Iterator[str]:
    """The whole profile, or the part of one enforcer (``apparmor``, ``bpf``, ``seccomp``)."""
    yield f"# {profile.policy}: profile {profile.name}, mode {profile.mode.value}, digest {profile.digest[:12]}"
    if profile.apparmor is not None and enforcer in (None, "apparmor"):
        yield from ("", "## AppArmor", profile.apparmor.rstrip("\n"))
    if profile.bpf is not None and enforcer in (None, "bpf"):
        yield from ("", "## BPF", *_bpf_lines(profile.bpf))
        yield from _executable_lines(profile.bpf)
    if profile.seccomp is not None and enforcer in (None, "seccomp"):
        yield from ("", "## Seccomp", json.dumps(profile.seccomp, indent=2))
    if profile.unit.directives and enforcer is None:
        yield from ("", "## systemd", "[Service]")
        yield from (f"{directive}={value}" for directive, value in profile.unit.directives)


def _bpf_lines(profile: BpfProfile) -> Iterator[str]:
    lines = _rule_lines(profile)
    if not lines and profile.allow is None:
        yield "(no rules)"
    for line in lines:
        yield _line(line)
    if profile.allow is not None:
        yield from _allow_lines(profile.allow)


def _executable_lines(profile: BpfProfile) -> Iterator[str]:
    """What the programs with rules of their own have beside the rules of the workload."""
    common = set(_rule_lines(profile))
    for item in profile.executables:
        yield from ("", f"## BPF, from the execution of {', '.join(item.executables)} on, in addition")
        own = [line for line in _rule_lines(item.profile) if line not in common]
        yield from (_line(line) for line in own)
        if not own:
            yield "(no rules)"


def _line(line: _Line) -> str:
    deny, audit, body, origin = line
    qualifiers = " ".join(word for word, on in (("audit", audit), ("deny", deny)) if on)
    return f"{qualifiers} {body}  # {origin}"


def _rule_lines(profile: BpfProfile) -> list[_Line]:
    rules: tuple[_Listed, ...] = (
        *profile.paths, *profile.egress, *profile.sockets, *profile.ptrace, *profile.mounts,
    )  # fmt: skip
    lines = [(rule.deny, rule.audit, _body(rule), rule.origin) for rule in rules]
    for capability in profile.capabilities:
        body = f"capability {_capability_names(capability.mask)}"
        lines.append((capability.deny, capability.audit, body, capability.origin))
    lines += [(switch.deny, switch.audit, switch.operation, switch.origin) for switch in profile.switches]
    return lines


def _allow_lines(allow: AllowList) -> Iterator[str]:
    rest = " and ".join(word for word, on in (("refused", allow.deny), ("recorded", allow.audit)) if on)
    yield f"# only this is allowed, all else is {rest or 'let pass'}:"
    rules: tuple[_Listed, ...] = (*allow.paths, *allow.egress, *allow.sockets, *allow.ptrace, *allow.mounts)
    yield from (f"allow {_body(rule)}  # {rule.origin}" for rule in rules)
    if allow.capabilities:
        yield f"allow capability {_capability_names(allow.capabilities)}"
    yield from (f"allow {operation}" for operation in allow.switches)


def _body(rule: _Listed) -> str:
    if isinstance(rule, PathRule):
        return f"{_access(rule.access)} {rule.pattern}"
    if isinstance(rule, EgressRule):
        return f"connect {_destination(rule)}"
    if isinstance(rule, SocketRule):
        return f"socket {_socket(rule)}"
    if isinstance(rule, PtraceRule):
        words = (word for word, one in PTRACE.items() if one.bit_count() == 1 and one & rule.permissions)
        return f"ptrace {','.join(words)} {'everywhere' if rule.everywhere else 'across the border of the workload'}"
    return _mount(rule)


def _access(access: Access) -> str:
    return ",".join(flag.name.lower() for flag in Access if flag in access and flag.name)


def _capability_names(mask: int) -> str:
    return ",".join(name for number, name in enumerate(NAMES) if mask >> number & 1)


def _destination(rule: EgressRule) -> str:
    ports = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in rule.ports)
    return f"{rule.network or 'any'}{f' port {ports}' if ports else ''}"


def _socket(rule: SocketRule) -> str:
    parts = [
        f"{what}={','.join(words)}"
        for what, words in (
            ("domain", _words_of(rule.domains, DOMAINS)),
            ("type", _words_of(rule.types, TYPES)),
            ("protocol", _protocols(rule.protocols)),
        )
        if words
    ]
    return " ".join(parts) or "any"


def _words_of(mask: int, table: Mapping[str, int]) -> list[str]:
    known = {number: word for word, number in table.items()}
    return [known.get(number, str(number)) for number in range(mask.bit_length()) if mask >> number & 1]


def _protocols(mask: SocketProtocol) -> list[str]:
    words = [word for word, one in PROTOCOLS.items() if one & mask]
    return [*words, "other"] if SocketProtocol.OTHER & mask else words


def _mount(rule: MountRule) -> str:
    target = "" if rule.target == "**" else f" on {rule.target}"
    flags = _mount_words(rule.flags, rule.reverse)
    return f"mount {rule.source}{target} fstype={rule.fstype}{f' flags={flags}' if flags else ''}"


def _mount_words(flags: int, reverse: int) -> str:
    if (flags, reverse) == (EVERY_MOUNT.flags, EVERY_MOUNT.reverse):
        return ""
    if (flags, reverse) == (ALL_FLAGS, ALL_FLAGS):
        return "all"
    words = _single_words((word, one.flags) for word, one in MOUNT_FLAGS.items())
    unset = _single_words((word, one.reverse) for word, one in MOUNT_FLAGS.items())
    found = [words.get(1 << bit, f"{1 << bit:#x}") for bit in range(32) if flags >> bit & 1]
    found += [unset.get(1 << bit, f"not-{1 << bit:#x}") for bit in range(32) if reverse >> bit & 1]
    return ",".join(found)


def _single_words(pairs: Iterable[tuple[str, int]]) -> dict[int, str]:
    """The first word for each single flag; that of recursion has none in the language."""
    found: dict[int, str] = {1 << 14: "recursive"}
    for word, flag in pairs:
        if flag.bit_count() == 1:
            found.setdefault(flag, word)
    return found

# SPDX-License-Identifier: Apache-2.0
"""The text of an AppArmor profile: base, built-in rules, ``appArmorRawRules``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from varmor.policy.types import Mode, Policy
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NodeFacts

_INDENT = "  "

# The base that allows everything: AlwaysAllow, and EnhanceProtect of privileged containers.
_ALLOW_ALL = (
    "file,", "capability,", "network,", "mount,", "remount,", "umount,", "pivot_root,", "ptrace,", "signal,", "dbus,",
    "unix,",
)  # fmt: skip
# Classes that ABI 4.0 mediates in addition; without these lines they would be refused.
_ALLOW_ABI_4 = ("userns,", "mqueue,", "io_uring,")

# What container runtimes allow by default.
_DEFAULT_ALLOW = ("network,", "capability,", "file,", "umount,")
_PEERS = ("unconfined", "runc", "crun")

# What they refuse. The globs say "everything but", since AppArmor has no other negation; a class such as [^s] matches
# a slash as well. The usual templates compare three letters one by one and so leave gaps (/proc/bus, kernel/sysrq,
# kernel/threads-max, kernel/domainname); these do not.
_DEFAULT_DENY = (
    "@{PROC}/* w",
    # All but the directories of processes, and sys.
    "@{PROC}/{[^0-9s]*,s,s[^y]*,sy,sy[^s]*,sys?*}/** w",
    "@{PROC}/sys/{[^k]**,k,k[^e]**,ke,ke[^r]**} w",
    # All but the limits of the container's own IPC namespace: sem and shm*.
    "@{PROC}/sys/kernel/{[^s]**,s,s[^eh]**,se,se[^m]**,sem?**,sh,sh[^m]**} w",
    "@{PROC}/sysrq-trigger rwklx",
    "@{PROC}/mem rwklx",
    "@{PROC}/kmem rwklx",
    "@{PROC}/kcore rwklx",
    "mount",
    "/sys/[^f]*/** wklx",
    "/sys/f[^s]*/** wklx",
    "/sys/fs/[^c]*/** wklx",
    "/sys/fs/c[^g]*/** wklx",
    "/sys/fs/cg[^r]*/** wklx",
    "/sys/firmware/** rwklx",
    "/sys/devices/virtual/powercap/** rwklx",
    "/sys/kernel/security/** rwklx",
)

_PATH_RULE = re.compile(r"^(?P<path>(owner )?[/@{\"].* )(?P<permissions>[rwaklmx]+)$")


def profile_text(name: str, policy: Policy, selected: Sequence[Selected], reaction: Reaction, facts: NodeFacts) -> str:
    """The whole text of the profile ``name``, in the grammar of the node's parser.

    Rules that need a newer parser than the node's are left out: :func:`varmor.profile.selection.check_expressible` has
    made sure that another enforcer has them.
    """
    rules = policy.enhance_protect
    expressible = [
        item for item in selected if item.rule.apparmor and item.rule.apparmor.parser <= facts.apparmor_parser
    ]
    abi = _abi(expressible, facts)
    allow_all = policy.mode is Mode.ALWAYS_ALLOW or (rules is not None and rules.privileged)
    lines: list[str] = []
    lines += _base(name, allow_all=allow_all, audit=reaction.audit and policy.mode is Mode.ENHANCE_PROTECT)
    if abi == "4.0":
        lines += _ALLOW_ABI_4
    for item in expressible:
        lines += _built_in(item, reaction)
    if rules is not None and policy.mode is Mode.ENHANCE_PROTECT:
        for number, raw in enumerate(rules.apparmor_raw_rules):
            if not raw.targets:
                lines += ["", f"# appArmorRawRules[{number}]", *textwrap.dedent(raw.rules).strip("\n").splitlines()]
    return _assemble(name, abi, lines)


def _abi(expressible: Sequence[Selected], facts: NodeFacts) -> str:
    """The ABI to declare: 4.0 only for a rule that needs it, since it makes the kernel mediate more classes."""
    newer = any(item.rule.apparmor and item.rule.apparmor.parser >= (4, 0) for item in expressible)
    if newer and "4.0" in facts.apparmor_abi:
        return "4.0"
    return "3.0" if "3.0" in facts.apparmor_abi else ""


def _base(name: str, *, allow_all: bool, audit: bool) -> Iterator[str]:
    if allow_all:
        yield from _ALLOW_ALL
        return
    yield from _DEFAULT_ALLOW
    for peer in _PEERS:
        yield f"signal (receive) peer={peer},"
    yield f"signal (send,receive) peer={name},"
    yield f"ptrace (trace,read,tracedby,readby) peer={name},"
    yield ""
    qualifier = "audit deny" if audit else "deny"
    for body in _DEFAULT_DENY:
        yield f"{qualifier} {body},"


def _built_in(item: Selected, reaction: Reaction) -> Iterator[str]:
    form = item.rule.apparmor
    if form is None or reaction.nothing:
        return
    yield ""
    yield f"# {item.rule.name}"
    for body in form.rules:
        if reaction.deny:
            yield f"{'audit ' if reaction.audit else ''}deny {body},"
        else:
            yield f"audit {_observed(body)},"


def _observed(body: str) -> str:
    """The rule as one that allows: an execution then needs to say under which profile (this one)."""
    match = _PATH_RULE.match(body)
    if match is None or "x" not in match["permissions"]:
        return body
    return match["path"] + match["permissions"].replace("x", "ix")


def _assemble(name: str, abi: str, lines: list[str]) -> str:
    head = ["# Made by varmor from a policy. Changes are overwritten."]
    if abi:
        head.append(f"abi <abi/{abi}>,")
    head += ["#include <tunables/global>", "", f"profile {name} flags=(attach_disconnected,mediate_deleted) {{"]
    body = ["#include <abstractions/base>", "", *lines]
    return "\n".join([*head, *(f"{_INDENT}{line}" if line else "" for line in body), "}", ""])

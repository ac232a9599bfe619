# SPDX-License-Identifier: Apache-2.0
"""What AppArmor profiles are built on: what everything may do, what container runtimes refuse, and the peers."""

from __future__ import annotations

from collections.abc import Iterator

FLAGS = ("attach_disconnected", "mediate_deleted")

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
# What abstractions/base allows beside paths. The abstraction itself is left out: `file,` allows its paths already, and
# beside rules for names in any directory its hundred paths multiply the time that apparmor_parser takes.
_DEFAULT_ALLOW_BY_ALL = (
    "ptrace (readby,tracedby),",
    'signal (send,receive) set=("exists"),',
    "unix (create,getattr,getopt,setopt,shutdown),",
    "unix (receive) peer=(label=unconfined),",
)

# What they refuse. The globs say "everything but", since AppArmor has no other negation; a class such as [^s] matches
# a slash as well. The usual templates compare three letters one by one and so leave gaps (/proc/bus, kernel/sysrq,
# kernel/threads-max, kernel/domainname); these do not.
_DEFAULT_DENY = (
    "mount",
    "/proc/* wl",
    # All but the directories of processes, and sys.
    "/proc/{[^0-9s]*,s,s[^y]*,sy,sy[^s]*,sys?*}/{,**} wl",
    "/proc/sys/{k,ke} wl",
    "/proc/sys/{[^k],k[^e],ke[^r]}** wl",
    # All but the limits of the container's own IPC namespace: sem and shm*.
    "/proc/sys/kernel/{s,se,sh} wl",
    "/proc/sys/kernel/{[^s],s[^eh],se[^m],sem?,sh[^m]}** wl",
    "/proc/{sysrq-trigger,mem,kmem,kcore} rwklx",
    "/sys/{[^f]*,f[^s]*,fs/[^c]*,fs/c[^g]*,fs/cg[^r]*}/{,**} wklx",
    "/sys/{firmware,devices/virtual/powercap,kernel/security}/{,**} rwklx",
)


def own_label(name: str) -> str:
    """The label of the profile ``name`` as a peer, alone or stacked with another profile.

    From Linux 6.17 on, programs that are started in a container later have a label such as ``name//&unconfined``. A
    label is sorted by name, so that the other profile may stand on either side.
    """
    return f'"{{,*//&}}{name}{{,//&*}}"'


def child_name(name: str, number: int) -> str:
    """The full name of a child profile; numbers count from 1."""
    return f"{name}//child_{number}"


def child_labels(name: str) -> str:
    """The labels of all programs that run under child profiles of ``name``, which stack them on it."""
    return f'"{{,**//&}}{name}//&{name}//child_**"'


def allow_all(abi: str) -> Iterator[str]:
    """Everything is allowed."""
    yield from _ALLOW_ALL
    yield from _classes_of(abi)


def runtime_default(name: str, abi: str, *, children: bool, audit: bool) -> Iterator[str]:
    """What container runtimes allow and refuse. ``audit`` records what is refused."""
    yield from _DEFAULT_ALLOW
    yield from _classes_of(abi)
    yield from _DEFAULT_ALLOW_BY_ALL
    yield f"unix peer=(label={own_label(name)}),"
    for peer in _PEERS:
        yield f"signal (receive) peer={peer},"
    for peer in (own_label(name), *((child_labels(name),) if children else ())):
        yield f"signal (send,receive) peer={peer},"
        yield f"ptrace (trace,read,tracedby,readby) peer={peer},"
    yield ""
    qualifier = "audit deny" if audit else "deny"
    for body in _DEFAULT_DENY:
        yield f"{qualifier} {body},"


def _classes_of(abi: str) -> tuple[str, ...]:
    return _ALLOW_ABI_4 if abi == "4.0" else ()

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

# SPDX-License-Identifier: Apache-2.0
"""The words that the schema admits in rules of the BPF enforcer. What they stand for is known where they are compiled.

A test compares these lists with the compiler's tables.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = ("all", "*")
QUALIFIERS = ("deny", "audit")
PERMISSIONS = (*ANY, "read", "r", "write", "w", "append", "a", "exec", "x", "map", "m")
PTRACE = (*ANY, "trace", "traceby", "read", "readby")
TYPES = (*ANY, "stream", "dgram", "raw", "rdm", "seqpacket", "dccp", "packet")
PROTOCOLS = (*ANY, "icmp", "tcp", "udp", "sctp")
DOMAINS = (
    *ANY, "unix", "inet", "ax25", "ipx", "appletalk", "netrom", "bridge", "atmpvc", "x25", "inet6", "rose", "netbeui",
    "security", "key", "netlink", "packet", "ash", "econet", "atmsvc", "rds", "sna", "irda", "pppox", "wanpipe", "llc",
    "ib", "mpls", "can", "tipc", "bluetooth", "iucv", "rxrpc", "isdn", "phonet", "ieee802154", "caif", "alg", "nfc",
    "vsock", "kcm", "qipcrtr", "smc", "xdp", "mctp",
)  # fmt: skip
_PROPAGATION = tuple(
    f"{make}{recursive}{name}"
    for name in ("unbindable", "private", "slave", "shared")
    for recursive in ("", "r")
    for make in ("", "make-")
)
MOUNT_FLAGS = (
    *ANY, "remount", "bind", "B", "move", "M", "rbind", "R", *_PROPAGATION, "ro", "r", "read-only", "rw", "w", "nosuid",
    "suid", "nodev", "dev", "noexec", "exec", "sync", "async", "mand", "nomand", "dirsync", "noatime", "atime",
    "nodiratime", "diratime", "silent", "loud", "relatime", "norelatime", "iversion", "noiversion", "strictatime",
    "nostrictatime", "umount",
)  # fmt: skip
CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
OPERATIONS = (
    "userns_create", "bpf", "bpf_prog_load", "socket_filter", "userfaultfd", "io_uring", "perf_event_open",
    "block_device_open", "block_device_mount", "chmod_x_bit", "chmod_s_bit", "keyring", "kernel_module", "kexec",
)  # fmt: skip


def pattern(words: Iterable[str], *, prefix: str = "") -> str:
    """A regular expression (RE2) for one of ``words``, after ``prefix`` or without it.

    Words in lower case match in any case, those with an upper-case letter as they are.
    """
    words = [word.replace("*", r"\*") for word in words]
    plain = [word for word in words if word.islower() or not word.isalpha()]
    exact = [word for word in words if word not in plain]
    start = f"({prefix})?" if prefix else ""
    any_case = f"(?i:{start}({'|'.join(plain)}))"
    return f"^(?:{'|'.join([any_case, *exact])})$"

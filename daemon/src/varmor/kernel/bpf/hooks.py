# SPDX-License-Identifier: Apache-2.0
"""The optional programs of the object, and which rules are not judged where a kernel lacks the hook of one."""

from __future__ import annotations

from collections.abc import Collection

JUDGED = {
    "varmor_capable": "capabilities",
    "varmor_connect": "egress",
    "varmor_sendmsg": "egress of datagrams",
    "varmor_file_open": "files",
    "varmor_file_receive": "files that are received from other processes",
    "varmor_unlink": "removing files",
    "varmor_rmdir": "removing directories",
    "varmor_mkdir": "making directories",
    "varmor_mknod": "making files",
    "varmor_symlink": "making symbolic links",
    "varmor_link": "making hard links",
    "varmor_rename": "renaming",
    "varmor_truncate": "truncating",
    "varmor_chmod": "changing modes",
    "varmor_chown": "changing owners",
    "varmor_map": "executable mappings",
    "varmor_protect": "executable mappings by mprotect",
    "varmor_unix_connect": "connections to unix sockets",
    "varmor_unix_send": "datagrams to unix sockets",
    "varmor_mount": "mounts",
    "varmor_umount": "unmounting",
    "varmor_pivot_root": "pivot_root",
    "varmor_move_mount": "mounts by move_mount",
    "varmor_file_system": "block_device_mount, and file systems that are not attached",
    "varmor_socket": "sockets",
    "varmor_ptrace": "ptrace",
    "varmor_traceme": "ptrace by PTRACE_TRACEME",
    "varmor_userns_create": "userns_create",
    "varmor_bpf": "bpf, bpf_prog_load",
    "varmor_setsockopt": "socket_filter",
    "varmor_anonymous_inode": "userfaultfd, io_uring",
    "varmor_perf_event_open": "perf_event_open",
    "varmor_key_permission": "keyring (keys that are there)",
    "varmor_key_alloc": "keyring (new keys)",
    "varmor_kernel_read_file": "kernel_module, kexec (from files)",
    "varmor_kernel_load_data": "kernel_module, kexec (from memory)",
    "varmor_chmod_bits": "chmod_x_bit, chmod_s_bit",
    "varmor_mknod_bits": "chmod_x_bit, chmod_s_bit (new files)",
    "varmor_setxattr": "chmod_x_bit (access control lists)",
}
"""Program -> the rules that it judges. ``varmor_set_acl`` is not among them: where its hook is absent (before 6.2),
``varmor_setxattr`` judges what it would.
"""


def unjudged(attached: Collection[str]) -> tuple[str, ...]:
    """What is not judged when only the programs of these names are attached, sorted."""
    return tuple(sorted({what for program, what in JUDGED.items() if program not in attached}))

# SPDX-License-Identifier: Apache-2.0
"""Kernel headers for bcc, made of the running kernel's own type information: no package of headers is needed, and they
always fit.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

from varmor.kernel.bpf.libbpf import KernelBtf

_KCONFIG = """\
#ifndef VARMOR_KCONFIG_H
#define VARMOR_KCONFIG_H
#define BPF_NO_PRESERVE_ACCESS_INDEX
#define __KERNEL__ 1
#define _UAPI__LINUX_BPF_H__
#define __LINUX_BPF_H__
#include "vmlinux.h"
#include <linux/missing_helpers.h>
#define BPF_PSEUDO_MAP_FD 1
#define __always_inline inline __attribute__((always_inline))
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#ifndef LINUX_VERSION_CODE
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
#endif
#define NULL ((void *)0)
#define TASK_COMM_LEN 16
#define CONFIG_BPF_SYSCALL 1
#define PAGE_SHIFT 12
#define PAGE_SIZE 4096
#define __user
#define __kernel
#define offsetof(type, member) __builtin_offsetof(type, member)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define likely(x) __builtin_expect(!!(x), 1)
#endif
"""
_ENUMERATIONS = (6, 19)  # BTF_KIND_ENUM, BTF_KIND_ENUM64: numbers of helpers, kinds of maps, flags
_NEEDED = frozenset(
    {
        "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16", "__u32", "__u64", "__s32", "__s64",
        "__be16", "__be32", "__wsum", "size_t", "uintptr_t", "bool", "pid_t", "pt_regs", "bpf_raw_tracepoint_args",
        "bpf_stack_build_id",
    }
)  # fmt: skip
_STUBS = (
    "linux/version.h", "linux/log2.h", "linux/types.h", "linux/bpf_common.h", "asm/page.h", "uapi/linux/bpf.h",
    "uapi/linux/if_packet.h", "uapi/linux/ptrace.h", "uapi/linux/if_ether.h", "linux/sched.h",
)  # fmt: skip
"""Headers that bcc's own helpers include."""


def write_headers(folder: Path, library: Path) -> None:
    """Write a tree that ``BCC_KERNEL_SOURCE`` may name. ``library`` is libbcc, which holds the names of the helpers it
    knows: those that this kernel has not are given a number that no program uses.

    Raises:
        BpfError: the kernel has no type information.
    """
    include = folder / "include"
    (folder / "arch" / "x86" / "include").mkdir(parents=True)
    for stub in _STUBS:
        path = include / stub
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#include <linux/kconfig.h>\n")
    types = kernel_types()
    (include / "vmlinux.h").write_text(types)
    (include / "linux" / "kconfig.h").write_text(_KCONFIG)
    (include / "linux" / "missing_helpers.h").write_text(missing_helpers(types, library.read_bytes()))


def missing_helpers(types: str, library: bytes) -> str:
    """Definitions of the helpers that are named in the library and not in the kernel's types."""
    named = {word.decode() for word in re.findall(rb"BPF_FUNC_[a-z0-9_]+", library)}
    known = set(re.findall(r"\bBPF_FUNC_[a-z0-9_]+\b", types))
    return "".join(f"#define {name} 0xfff\n" for name in sorted(named - known))


def _is_needed(kind: int, name: str) -> bool:
    return kind in _ENUMERATIONS or name in _NEEDED


def kernel_types() -> str:
    """The types of the kernel that a program of bcc needs, as C.

    Raises:
        BpfError: the kernel has no type information.
    """
    parts: list[bytes] = []
    buffer = ctypes.create_string_buffer(1 << 16)
    libc = ctypes.CDLL(None)

    def take(_context: int, form: int, arguments: int) -> None:
        size = libc.vsnprintf(buffer, ctypes.c_size_t(len(buffer)), ctypes.c_void_p(form), ctypes.c_void_p(arguments))
        parts.append(buffer.raw[: min(size, len(buffer) - 1)])

    with KernelBtf() as btf:
        btf.dump(take, _is_needed)
    return b"".join(parts).decode()

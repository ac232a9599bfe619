# SPDX-License-Identifier: Apache-2.0
"""A filter as libseccomp makes it of an OCI profile, and a small machine that runs it like the kernel does."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import seccomp

# uapi/linux/audit.h
TOKENS = {
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0xC000003E,
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
}


Program = list[tuple[int, int, int, int]]
"""Instructions: operation, jump when true, jump when false, constant."""


def build(profile: Mapping[str, Any]) -> Program:
    """The BPF program of a profile, made in the way of runc: see libcontainer/seccomp/seccomp_linux.go."""
    default = (profile["defaultAction"], profile.get("defaultErrnoRet"))
    made = seccomp.SyscallFilter(_action(*default))
    for name in profile.get("architectures") or ():
        arch = seccomp.Arch(getattr(seccomp.Arch, name.removeprefix("SCMP_ARCH_")))
        if not made.exist_arch(arch):
            made.add_arch(arch)
    for entry in profile.get("syscalls") or ():
        action = _action(entry["action"], entry.get("errnoRet"))
        if action == _action(*default):
            continue
        args = [
            seccomp.Arg(
                arg["index"],
                getattr(seccomp, arg["op"].removeprefix("SCMP_CMP_")),
                arg["value"],
                arg.get("valueTwo") or 0,
            )
            for arg in entry.get("args") or ()
        ]
        separate = len({arg["index"] for arg in entry.get("args") or ()}) < len(args)
        for name in entry["names"]:
            if seccomp.resolve_syscall(seccomp.Arch(), name) == -1:
                continue
            for together in [[arg] for arg in args] if separate else [args]:
                made.add_rule(action, name, *together)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return list(struct.iter_unpack("<HBBI", file.read()))


def _action(name: str, number: int | None) -> int:
    if name == "SCMP_ACT_ERRNO":
        return int(seccomp.ERRNO(1 if number is None else number))
    if name == "SCMP_ACT_TRACE":
        return int(seccomp.TRACE(1 if number is None else number))
    return int(getattr(seccomp, name.removeprefix("SCMP_ACT_")))


def run(program: Program, arch: str, number: int, args: Sequence[int]) -> int:
    """What the program returns for a call: a ``SECCOMP_RET_`` value."""
    padded = [value & 0xFFFFFFFFFFFFFFFF for value in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<iIQ6Q", number, TOKENS[arch], 0, *padded)
    accumulator = position = 0
    memory = [0] * 16
    while True:
        operation, yes, no, constant = program[position]
        position += 1
        match operation:
            case 0x20:  # load a word of the data
                (accumulator,) = struct.unpack_from("<I", data, constant)
            case 0x06:  # return
                return int(constant)
            case 0x05:  # jump
                position += constant
            case 0x15 | 0x25 | 0x35 | 0x45:  # equal, greater, greater or equal, any bit
                true = {
                    0x15: accumulator == constant,
                    0x25: accumulator > constant,
                    0x35: accumulator >= constant,
                    0x45: bool(accumulator & constant),
                }[operation]
                position += yes if true else no
            case 0x54:  # and
                accumulator &= constant
            case 0x02:  # store
                memory[constant] = accumulator
            case 0x60:  # load what was stored
                accumulator = memory[constant]
            case _:
                raise AssertionError(f"instruction {operation:#x} is not known here")


def returned(name: str, errno: int | None) -> int:
    """The ``SECCOMP_RET_`` value of an OCI action."""
    return _action(name, errno) & 0xFFFFFFFF

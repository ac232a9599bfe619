# SPDX-License-Identifier: Apache-2.0
"""The traced calls of one cgroup: a bcc program on the kernel's tracepoints, and what it counted."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varmor.errors import VarmorError
from varmor.kernel.trace.headers import write_headers

UNKNOWN = "[unknown]"
"""How bcc calls a function that it cannot name."""

_STACKS, _KEYS = 16384, 16384
_SOURCE = """
struct key_t { u32 tgid; s32 stack; u32 call; s32 result; char comm[16]; };
BPF_HASH(counts, struct key_t, u64, KEYS);
BPF_ARRAY(lost, u64, 1);
BPF_TABLE("stacktrace", int, struct bpf_stacktrace, stacks, STACKS);

static inline int wanted(u64 call)
{
    if (bpf_get_current_ancestor_cgroup_id(LEVEL) != CGROUP)
        return 0;
    return CALLS;
}

static inline void note(void *context, u64 call, s64 result)
{
    struct key_t key = {};
    u64 one = 1, *count;
    int first = 0;

    key.tgid = bpf_get_current_pid_tgid() >> 32;
    key.call = call;
    key.result = result;
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    key.stack = stacks.get_stackid(context, BPF_F_USER_STACK);
    count = counts.lookup(&key);
    if (count)
        __sync_fetch_and_add(count, 1);
    else if (counts.insert(&key, &one)) {
        count = lost.lookup(&first);
        if (count)
            __sync_fetch_and_add(count, 1);
    }
}

RAW_TRACEPOINT_PROBE(sys_exit)
{
    struct pt_regs *registers = (struct pt_regs *)ctx->args[0];
    s64 result = ctx->args[1], call = -1;

    bpf_probe_read_kernel(&call, sizeof(call), &registers->NUMBER);
    if (call >= 0 && RESULT && wanted(call))
        note(ctx, call, result);
    return 0;
}
"""
_REGISTER = {"x86_64": "orig_ax", "aarch64": "syscallno"}
_DENIED = (errno.EPERM, errno.EACCES)


class TraceError(VarmorError):
    """Tracing is not possible here."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A function of the process, ``address`` where it could not be named."""

    name: str
    address: int


@dataclass(frozen=True, slots=True)
class Caller:
    """A process that made a call, by the same way each time. ``result`` is what the call gave; ``frames`` begin with
    the innermost function, and are empty where the kernel could not follow them.
    """

    pid: int
    comm: str
    call: int
    result: int
    count: int
    frames: tuple[Frame, ...]


def source(cgroup: int, level: int, calls: Sequence[int], *, denied: bool) -> str:
    """The program. ``cgroup`` is its number, all below it counts; ``level`` is its depth, the root's is 0. Without
    ``calls`` all are traced.
    """
    numbers = " || ".join(f"call == {number}" for number in calls) or "1"
    result = " || ".join(f"result == -{number}" for number in _DENIED) if denied else "1"
    words = {"LEVEL": str(level), "CGROUP": f"{cgroup}ULL", "CALLS": f"({numbers})", "RESULT": f"({result})"}
    words["NUMBER"] = _REGISTER[os.uname().machine]
    words |= {"STACKS": str(_STACKS), "KEYS": str(_KEYS)}
    text = _SOURCE
    for word, value in words.items():
        text = text.replace(word, value)
    return text


class CallTrace:
    """A running trace."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self._named: dict[tuple[int, int], tuple[Frame, ...]] = {}

    def refresh(self) -> None:
        """Name the functions of new callers. A process that has ended cannot be asked: do it often."""
        for key in list(self._program["counts"].keys()):
            if (key.tgid, key.stack) not in self._named:
                self._named[key.tgid, key.stack] = self._frames(key.tgid, key.stack)

    def _frames(self, pid: int, stack: int) -> tuple[Frame, ...]:
        if stack < 0:
            return ()
        addresses = list(self._program["stacks"].walk(stack))
        names = (self._program.sym(address, pid, show_module=True, show_offset=True) for address in addresses)
        return tuple(
            Frame(name.decode(errors="replace"), address) for name, address in zip(names, addresses, strict=True)
        )

    def callers(self) -> list[Caller]:
        """All callers, the most frequent first."""
        self.refresh()
        found = [
            Caller(
                key.tgid,
                key.comm.decode(errors="replace"),
                key.call,
                key.result,
                count.value,
                self._named.get((key.tgid, key.stack), ()),
            )
            for key, count in self._program["counts"].items()
        ]
        return sorted(found, key=lambda caller: (-caller.count, caller.pid, caller.call))

    def lost(self) -> int:
        """Calls of callers for which there was no room."""
        return int(self._program["lost"][0].value)


@contextlib.contextmanager
def tracing(cgroup: int, level: int, calls: Sequence[int], *, denied: bool) -> Iterator[CallTrace]:
    """Trace while the context lasts.

    Raises:
        TraceError: bcc is not installed, or the kernel refuses its program.
        BpfError: the kernel has no type information.
    """
    bcc = _bcc()
    with tempfile.TemporaryDirectory(prefix="varmor-trace-") as name:
        folder = Path(name)
        write_headers(folder, _libbcc(bcc))
        os.environ["BCC_KERNEL_SOURCE"] = str(folder)
        try:
            program = bcc.BPF(text=source(cgroup, level, calls, denied=denied), cflags=["-w"])
        except Exception as error:  # bcc raises bare ones
            raise TraceError(f"bcc's program cannot be compiled or loaded: {error}") from error
        finally:
            del os.environ["BCC_KERNEL_SOURCE"]
    try:
        yield CallTrace(program)
    finally:
        program.cleanup()


def _bcc() -> Any:
    try:
        return importlib.import_module("bcc")
    except ImportError as error:
        raise TraceError(
            f"tracing needs bcc ({error}): install the package python3-bpfcc; nothing else here needs it"
        ) from error


def _libbcc(bcc: Any) -> Path:
    """The library that is loaded: its file is among this process's mappings."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.partition("/")[2]
        if "libbcc.so" in path:
            return Path("/" + path)
    raise TraceError(f"the library of {bcc.__name__} is not among the mappings of this process")

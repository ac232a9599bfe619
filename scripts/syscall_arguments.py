# SPDX-License-Identifier: Apache-2.0
"""Write ``profile/seccomp_arguments.py``: what kind each argument of each syscall is.

    python -m scripts.syscall_arguments HEADERS

``HEADERS`` is a folder with the unpacked Debian packages ``linux-headers-VERSION-amd64`` and ``-common``. Prototypes
come from ``linux/syscalls.h`` and ``asm/syscalls.h``, the functions behind the numbers from the generated tables, the
names from libseccomp. What these headers do not have stands in ``_MORE``.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

from varmor.profile.seccomp_names import calls

_TARGET = Path(__file__).parents[1] / "daemon/src/varmor/profile/seccomp_arguments.py"
_PROTOTYPE = re.compile(r"asmlinkage\s+long\s+(sys_\w+)\s*\(([^;]*)\)\s*;")
_TABLE = re.compile(r"__SYSCALL(?:_WITH_COMPAT)?\((\d+),\s*(\w+)")
_WIDE = ("loff_t", "u64", "__u64")
_REGISTER = ("long", "size_t", "off_t", "aio_context_t", "ssize_t")
_POINTERS = ("cap_user_header_t", "cap_user_data_t", "__sighandler_t")
_MORE = {
    "arch_prctl": "il", "brk": "l", "cachestat": "ippi", "clone": "llppl", "execve": "ppp", "fchmodat2": "iphi",
    "futex_requeue": "piii", "futex_wait": "pllipi", "futex_wake": "plii", "getxattrat": "ipippl", "ioperm": "lli",
    "iopl": "i", "listmount": "ppli", "listxattrat": "ipipl", "lsm_get_self_attr": "ippi", "lsm_list_modules": "ppi",
    "lsm_set_self_attr": "ipii", "map_shadow_stack": "lli", "mmap": "llllll", "modify_ldt": "ipl", "mseal": "lll",
    "open_tree_attr": "ipipl", "removexattrat": "ipip", "set_thread_area": "p", "get_thread_area": "p",
    "setxattrat": "ipippl", "statmount": "ppli", "uretprobe": "", "rt_sigreturn": "", "vm86": "ll", "vm86old": "p",
}  # fmt: skip
# The same work under another name, which the tables do not show because the functions differ too.
_TWINS = {
    "fadvise64": ("fadvise64_64",),
    "fcntl": ("fcntl64",),
    "ftruncate": ("ftruncate64",),
    "mmap": ("mmap2",),
    "select": ("_newselect",),
    "settimeofday": ("stime",),
    "truncate": ("truncate64",),
    "umount2": ("umount",),
    "wait4": ("waitpid",),
}


def main() -> None:
    """Read the headers, write the module."""
    headers = Path(sys.argv[1])
    prototypes: dict[str, str] = {}
    for path in sorted(headers.rglob("include/linux/syscalls.h")) + sorted(
        headers.rglob("arch/x86/include/asm/syscalls.h")
    ):
        for function, arguments in _PROTOTYPE.findall(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)):
            prototypes[function] = "".join(_kind(argument) for argument in _split(arguments))
    native = _functions(headers, "64", "SCMP_ARCH_X86_64")
    narrow = _functions(headers, "32", "SCMP_ARCH_X86")
    kinds = {name: prototypes[function] for name, function in (narrow | native).items() if function in prototypes}
    kinds.update(_MORE)
    twins: dict[str, set[str]] = defaultdict(set)
    for name, function in native.items():
        twins[name].update(_TWINS.get(name, ()))
        twins[name].update(other for other, same in narrow.items() if same == function and other not in native)
    foreign = sorted(kinds.keys() - set(calls("SCMP_ARCH_X86_64").values()))
    _TARGET.write_text(_module(kinds, {name: sorted(found) for name, found in sorted(twins.items()) if found}, foreign))


def _split(arguments: str) -> list[str]:
    found = [" ".join(part.split()) for part in arguments.split(",")]
    return [] if found == ["void"] else found


def _kind(argument: str) -> str:
    if "*" in argument or "[" in argument or any(word in argument.split() for word in _POINTERS):
        return "p"
    words = argument.split()
    if any(word in words for word in _WIDE):
        return "q"
    if "umode_t" in words:
        return "h"
    return "l" if any(word in words for word in _REGISTER) else "i"


def _functions(headers: Path, bits: str, abi: str) -> dict[str, str]:
    table = next(headers.rglob(f"generated/asm/syscalls_{bits}.h")).read_text()
    names = calls(abi)
    return {
        names[int(number)]: function
        for number, function in _TABLE.findall(table)
        if int(number) in names and function != "sys_ni_syscall"
    }


def _module(kinds: dict[str, str], twins: dict[str, list[str]], foreign: list[str]) -> str:
    by_kinds: dict[str, list[str]] = defaultdict(list)
    for name in sorted(kinds):
        by_kinds[kinds[name]].append(name)
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        '"""What kind each argument of each syscall is. Written by ``scripts/syscall_arguments.py``; do not edit.',
        "",
        "One letter for each argument: ``p`` an address, ``h`` a number of 16 bits, ``i`` of 32, ``l`` as wide as a",
        "register, ``q`` of 64 bits everywhere, for which an ABI of 32 bits takes two registers.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "_BY_KINDS = {",
    ]
    for kind, names in sorted(by_kinds.items()):
        lines.append(f'    "{kind}": """')
        lines += textwrap.wrap(" ".join(names), 110, initial_indent=" " * 8, subsequent_indent=" " * 8)
        lines.append('    """,')
    lines += [
        "}",
        "",
        "KINDS = {name: kinds for kinds, names in _BY_KINDS.items() for name in names.split()}",
        '"""The kinds of a call\'s arguments, in the order of a 64-bit ABI where the call has one there."""',
        "",
        "TWINS = {",
        *(
            f'    "{name}": ({" ".join(f"{chr(34)}{twin}{chr(34)}," for twin in found)}),'
            for name, found in twins.items()
        ),
        "}",
        '"""Calls of the 32-bit ABIs that do the same as a call under its own name."""',
        "",
        '_FOREIGN = """',
        *textwrap.wrap(" ".join(foreign), 110, initial_indent="    ", subsequent_indent="    "),
        '"""',
        "FOREIGN = frozenset(_FOREIGN.split())",
        '"""Of all these, the calls that x86_64 has not, or that libseccomp 2.5.4 does not know there."""',
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

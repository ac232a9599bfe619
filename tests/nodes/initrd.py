# SPDX-License-Identifier: Apache-2.0
"""A tiny initial RAM disk: busybox, a script and the modules that reach the root file system."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.nodes.errors import NodeError
from tests.nodes.kernel import Kernel, load_order, module_bytes

BUSYBOX_PATHS = (Path("/usr/bin/busybox"), Path("/bin/busybox"))
_FOLDERS = ("bin", "dev", "proc", "sys", "modules", "root")


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    mode: int
    data: bytes = b""


def busybox() -> Path:
    """The machine's static busybox; `NodeError` when it is missing or not static."""
    path = next((path for path in BUSYBOX_PATHS if path.exists()), None)
    if path is None:
        raise NodeError(f"{BUSYBOX_PATHS[0]} is missing; install busybox-static (`python -m tests.nodes setup`)")
    if b"/ld-linux" in path.read_bytes()[:4096]:
        raise NodeError(f"{path} is not static; install busybox-static in place of busybox")
    return path


def build_initrd(
    kernel: Kernel, modules: tuple[str, ...], script: str, files: Mapping[str, bytes] | None = None
) -> bytes:
    """A cpio archive (newc) with ``script`` as /init; it finds the modules' names, in order, in /modules/order.

    ``files`` are further files by their path in the archive.
    """
    objects = load_order(kernel.modules, modules)
    names = [path.name.split(".ko")[0] for path in objects]
    members = [_Member(name, stat.S_IFDIR | 0o755) for name in _FOLDERS]
    members.append(_Member("init", stat.S_IFREG | 0o755, script.encode()))
    members.append(_Member("bin/busybox", stat.S_IFREG | 0o755, busybox().read_bytes()))
    members.append(_Member("bin/sh", stat.S_IFLNK | 0o777, b"busybox"))
    members += [_Member(name, stat.S_IFREG | 0o755, data) for name, data in (files or {}).items()]
    for name, path in zip(names, objects, strict=True):
        members.append(_Member(f"modules/{name}", stat.S_IFREG | 0o644, module_bytes(path)))
    members.append(_Member("modules/order", stat.S_IFREG | 0o644, "".join(f"{name}\n" for name in names).encode()))
    return b"".join(_cpio(members))


def _cpio(members: list[_Member]) -> Iterator[bytes]:
    for number, member in enumerate([*members, _Member("TRAILER!!!", 0)]):
        name = member.name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(member.mode) else 1
        fields = (number + 1, member.mode, 0, 0, links, 0, len(member.data), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name
        yield header + b"\0" * (-len(header) % 4)
        yield member.data + b"\0" * (-len(member.data) % 4)

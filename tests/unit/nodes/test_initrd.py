# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.nodes import initrd
from tests.nodes.errors import NodeError
from tests.nodes.kernel import Kernel


def members(data: bytes) -> dict[str, tuple[int, bytes]]:
    """The members of a newc archive: mode and content by name."""
    found: dict[str, tuple[int, bytes]] = {}
    offset = 0
    while True:
        assert data[offset : offset + 6] == b"070701"
        fields = [int(data[offset + 6 + 8 * i : offset + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[offset + 110 : offset + 110 + name_size - 1].decode()
        start = (offset + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size])
        offset = (start + size + 3) // 4 * 4


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel("1", "1-1", tmp_path)
    kernel.modules.mkdir(parents=True)
    (kernel.modules / "modules.dep").write_text("b.ko: a.ko\na.ko:\n")
    (kernel.modules / "modules.builtin").write_text("")
    (kernel.modules / "a.ko").write_bytes(b"module a")
    (kernel.modules / "b.ko").write_bytes(b"module b")
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"program")
    monkeypatch.setattr(initrd, "busybox", lambda: busybox)
    return kernel


def test_the_archive_has_what_the_script_needs(kernel: Kernel) -> None:
    found = members(initrd.build_initrd(kernel, ("b",), "#!/bin/busybox sh\n", {"second.sh": b"echo"}))
    assert found["init"] == (stat.S_IFREG | 0o755, b"#!/bin/busybox sh\n")
    assert found["bin/busybox"][1] == b"program"
    assert found["bin/sh"] == (stat.S_IFLNK | 0o777, b"busybox")
    assert found["modules/order"][1] == b"a\nb\n"
    assert found["modules/a"][1] == b"module a"
    assert found["second.sh"][1] == b"echo"
    assert stat.S_ISDIR(found["proc"][0])


def test_the_same_input_gives_the_same_bytes(kernel: Kernel) -> None:
    assert initrd.build_initrd(kernel, ("b",), "x") == initrd.build_initrd(kernel, ("b",), "x")


def test_a_dynamic_busybox_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamic = tmp_path / "busybox"
    dynamic.write_bytes(b"ELF /lib64/ld-linux-x86-64.so.2")
    monkeypatch.setattr(initrd, "BUSYBOX_PATHS", (dynamic,))
    with pytest.raises(NodeError, match="is not static"):
        initrd.busybox()
    monkeypatch.setattr(initrd, "BUSYBOX_PATHS", (tmp_path / "none",))
    with pytest.raises(NodeError, match="busybox-static"):
        initrd.busybox()

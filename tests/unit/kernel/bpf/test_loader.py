# SPDX-License-Identifier: Apache-2.0
"""What names a set of programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from varmor.kernel.bpf.bindings import unit_key
from varmor.kernel.bpf.libbpf import BpfError
from varmor.kernel.bpf.loader import Settings


def test_digest_depends_on_object_and_sizes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    digests = {
        Settings(object_path=one).digest(),
        Settings(object_path=two).digest(),
        Settings(object_path=one, table_bytes=1 << 20).digest(),
    }
    assert len(digests) == 3
    assert Settings(object_path=one).digest() in digests
    assert all(len(digest) == 16 and digest.isalnum() for digest in digests)


@pytest.mark.parametrize("size", [0, 1 << 13, (1 << 20) + 1, -4096])
def test_table_size_is_a_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="expected a power of two"):
        Settings(table_bytes=size)


def test_missing_object(tmp_path: Path) -> None:
    with pytest.raises(BpfError, match="make it with `make bpf`"):
        Settings(object_path=tmp_path / "none").digest()


def test_unit_key() -> None:
    assert unit_key("/system.slice/nginx.service").path == b"/system.slice/nginx.service"
    for path in ("", "system.slice/x.service", "/" + "x" * 255):
        with pytest.raises(BpfError, match="expected an absolute path"):
            unit_key(path)

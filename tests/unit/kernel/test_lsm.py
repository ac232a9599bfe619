# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from varmor.kernel.lsm import active_modules


def test_the_order_is_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "lsm").write_text("lockdown,capability,apparmor,bpf")
    assert active_modules(tmp_path / "lsm") == ("lockdown", "capability", "apparmor", "bpf")


def test_without_securityfs_none_is_known(tmp_path: Path) -> None:
    assert active_modules(tmp_path / "lsm") == ()

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from varmor.kernel.bpf.symbols import addresses

TEXT = """\
ffffffff81000000 T _stext
ffffffff82a1b040 D rename_lock
ffffffff82a1b080 d mount_lock
ffffffff82a1b0c0 t mount_lock_of_something
ffffffffc0001000 d mount_lock\t[module]
ffffffff82a1b100 d twice
ffffffff82a1b140 d twice
ffffffff82a1b180 d thrice
ffffffff82a1b1c0 d thrice
ffffffff82a1b200 d thrice
"""


def table(folder: Path, text: str) -> Path:
    path = folder / "kallsyms"
    path.write_text(text)
    return path


def test_variables_of_the_kernel_itself(tmp_path: Path) -> None:
    found = addresses(["rename_lock", "mount_lock"], table(tmp_path, TEXT))
    assert found == {"rename_lock": 0xFFFFFFFF82A1B040, "mount_lock": 0xFFFFFFFF82A1B080}


def test_the_section_that_the_kernel_puts_it_in_does_not_matter(tmp_path: Path) -> None:
    assert addresses(["rename_lock"], table(tmp_path, "ffffffff83209800 T rename_lock\n")) == {
        "rename_lock": 0xFFFFFFFF83209800
    }


def test_what_is_not_unique_is_unknown(tmp_path: Path) -> None:
    assert addresses(["twice", "thrice", "nothing"], table(tmp_path, TEXT)) == {}


def test_hidden_addresses_are_unknown(tmp_path: Path) -> None:
    assert addresses(["rename_lock"], table(tmp_path, "0000000000000000 D rename_lock\n")) == {}


def test_no_table(tmp_path: Path) -> None:
    assert addresses(["rename_lock"], tmp_path / "none") == {}
    assert addresses([], tmp_path / "none") == {}

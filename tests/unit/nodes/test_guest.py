# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.nodes import guest
from tests.nodes.errors import NodeError
from tests.nodes.kernel import Kernel

KERNEL = Kernel("6.1", "6.1-1", Path("/cache/k"))
SHARES = {"root": Path("/"), "out": Path("/tmp/o,ut")}


def line(options: guest.GuestOptions) -> list[str]:
    return guest.command_line(options, KERNEL, Path("/cache/initrd"), SHARES, Path("/tmp/console"))


def test_the_machines_root_is_read_only_and_out_is_not() -> None:
    argv = line(guest.GuestOptions())
    shares = [value for key, value in itertools.pairwise(argv) if key == "-virtfs"]
    assert shares == [
        "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        "local,path=/tmp/o,,ut,mount_tag=out,security_model=none",
    ]


def test_counting_instructions_needs_one_processor() -> None:
    argv = line(guest.GuestOptions(icount=True, processors=4))
    assert argv[argv.index("-smp") + 1] == "1"
    assert argv[argv.index("-icount") + 1] == "shift=0,sleep=off"
    assert "-icount" not in line(guest.GuestOptions())


def test_the_kernels_command_line_can_be_extended() -> None:
    argv = line(guest.GuestOptions(cmdline="lsm=landlock,yama"))
    assert argv[argv.index("-append") + 1].endswith(" lsm=landlock,yama")


def test_the_command_keeps_its_words_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARMOR_X", "a b")
    monkeypatch.setenv("OTHER", "1")
    guest.write_control(tmp_path, KERNEL, ["echo", "it's", "$HOME"], Path("/some dir"), {"MORE": "1"})
    script = (tmp_path / "command").read_text()
    assert "export VARMOR_X='a b'\n" in script
    assert "export MORE=1\n" in script
    assert "OTHER" not in script
    assert "cd '/some dir' || exit 126\n" in script
    assert script.endswith("""exec echo 'it'"'"'s' '$HOME'\n""")


def test_no_command_is_an_error() -> None:
    with pytest.raises(NodeError, match="no command given"):
        guest.run_guest([])

# SPDX-License-Identifier: Apache-2.0
"""The light guest itself."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.nodes import GuestOptions, NodeError, NodeTimeoutError, run_guest, runnable

pytestmark = pytest.mark.skipif(runnable() is not None, reason=f"the light guest cannot run here: {runnable()}")


def test_a_command_runs_as_at_home_on_another_kernel(tmp_path: Path) -> None:
    mark = Path("/srv") / f"guest-{uuid.uuid4()}"
    script = (
        "cat /sys/kernel/security/lsm; pwd; echo $VARMOR_MARK >&2; echo kept >/out/file;"
        f" touch {mark} && modprobe veth && test -e /sys/kernel/btf/vmlinux && ls /sys/fs/bpf; exit 7"
    )
    streamed: list[bytes] = []
    result = run_guest(
        ["sh", "-c", script],
        GuestOptions(timeout=120, environment={"VARMOR_MARK": "it's here"}),
        out=tmp_path,
        cwd=Path("/usr/share"),
        on_stdout=streamed.append,
    )
    assert result.returncode == 7, result.stderr
    assert b"apparmor" in result.stdout
    assert b"bpf" in result.stdout
    assert b"/usr/share\n" in result.stdout
    assert result.stdout == b"".join(streamed)
    assert result.stderr == b"it's here\n"
    assert (tmp_path / "file").read_text() == "kept\n"
    assert not mark.exists()


def test_large_output_arrives_whole_and_what_runs_on_is_ended() -> None:
    result = run_guest(["sh", "-c", "sleep 1000 & head -c 3000000 /dev/zero"], GuestOptions(timeout=120))
    assert result.returncode == 0
    assert result.stdout == bytes(3000000)


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(NodeTimeoutError, match="did not end within 8 s"):
        run_guest(["sleep", "1000"], GuestOptions(timeout=8))


def test_a_panic_is_an_error_with_the_kernels_words() -> None:
    with pytest.raises(NodeError, match="sysrq_handle_crash"):
        run_guest(["sh", "-c", "echo c >/proc/sysrq-trigger"], GuestOptions(timeout=120))

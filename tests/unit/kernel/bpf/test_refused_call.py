# SPDX-License-Identifier: Apache-2.0
"""Calls that seccomp refused, from bytes; and the flags of a slot."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import pytest

from varmor.kernel.bpf.events import RefusedCall, decode
from varmor.kernel.bpf.layout import EventHeader, Hook, SlotFlag, Verdict

HEADER = Path(__file__).parents[4] / "daemon" / "bpf" / "varmor.h"
X86_64 = 0xC000003E


def _record(argument: int, text: bytes) -> bytes:
    header = EventHeader(argument=argument, hook=Hook.SECCOMP, verdict=Verdict.DENIED, text_length=len(text))
    ctypes.memmove(header.address, struct.pack("=I", X86_64), 4)
    return bytes(header) + text


def test_call() -> None:
    values = (1, 2, 3, (1 << 64) - 1, 5, 6)
    event = decode(_record(13 << 32 | 165, struct.pack("=6Q", *values)), "varmor-x")
    assert event is not None
    assert event.call == RefusedCall(165, X86_64, values, 13)
    assert (event.path, event.slot, event.denied) == ("", "varmor-x", True)


@pytest.mark.parametrize("text", [b"", struct.pack("=3Q", 0, 0, 0)])
def test_missing_arguments_are_zero(text: bytes) -> None:
    event = decode(_record(165, text), "")
    assert event is not None
    assert event.call == RefusedCall(165, X86_64, (0,) * 6, 0)


def test_flags_of_a_slot() -> None:
    found = dict(re.findall(r"^#define SLOT_(\w+) (\d+)", HEADER.read_text(), flags=re.MULTILINE))
    assert {name: int(value) for name, value in found.items()} == {str(f.name): f.value for f in SlotFlag}

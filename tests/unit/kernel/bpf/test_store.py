# SPDX-License-Identifier: Apache-2.0
"""What is written to the table of automata, read as the program in the kernel reads it."""

from __future__ import annotations

from array import array

import pytest

from varmor.kernel.bpf.layout import RESERVED_WORDS
from varmor.kernel.bpf.store import located_words
from varmor.profile.automaton import START, build
from varmor.profile.tables import encode
from varmor.profile.types import Access, BpfProfile, PathRule


def _run(table: array[int], columns: bytes, start: int, path: bytes) -> int:
    """The loop of daemon/bpf/match.h for one automaton."""
    mask = len(table) - 1
    row = start
    for byte in path:
        row = table[(row + columns[byte]) & mask]
        if not row:
            break
    return table[row & mask]


@pytest.mark.parametrize("first", [RESERVED_WORDS, 1000])
def test_kernel_side_reads_the_same(first: int) -> None:
    automaton = build([("/etc/**", 1), ("/etc/shadow", 2), ("/usr/*/x", 4)], 1000)
    table = array("I", bytes(4 << 13))
    words = located_words(automaton, first)
    table[first : first + len(words)] = words
    start = first + START * automaton.width
    for path in (b"/etc/shadow", b"/etc/x", b"/etc", b"/usr/a/x", b"/usr/a/b/x", b"/", b"", b"/never"):
        assert _run(table, automaton.columns, start, path) == automaton.value(path)


def test_accept_word_survives() -> None:
    tables = encode(BpfProfile(paths=(PathRule("/a/b", Access(15), deny=True, audit=True, origin="t"),)))
    (automaton,) = tables.automata
    words = located_words(automaton, RESERVED_WORDS)
    row = automaton.run(b"/a/b") * automaton.width
    assert words[row] == 0x2F2F2F
    assert words[automaton.run(b"/a") * automaton.width] == 0x2F0000
    assert list(words[: automaton.width]) == [0] * automaton.width

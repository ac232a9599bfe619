# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from varmor.kernel.trace.program import source


def test_the_program_names_cgroup_calls_and_results() -> None:
    text = source(1234, 2, [257, 2], denied=True)
    assert "bpf_get_current_ancestor_cgroup_id(2) != 1234ULL" in text
    assert "return (call == 257 || call == 2);" in text
    assert "(result == -1 || result == -13)" in text


def test_without_a_choice_all_calls_and_results_count() -> None:
    text = source(1, 1, [], denied=False)
    assert "return (1);" in text
    assert "call >= 0 && (1) && wanted(call)" in text


def test_no_word_of_the_template_is_left() -> None:
    assert not re.search(r"\b(LEVEL|CGROUP|CALLS|RESULT|NUMBER|STACKS|KEYS)\b", source(1, 1, [], denied=False))

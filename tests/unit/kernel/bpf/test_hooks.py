# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

from varmor.kernel.bpf.hooks import JUDGED, unjudged
from varmor.kernel.bpf.loader import INSTANTIATE_PROGRAM

SOURCES = Path(__file__).parents[4] / "daemon" / "bpf"
SERVED_BY_ANOTHER = {"varmor_set_acl"}
JUDGES_NOTHING = {INSTANTIATE_PROGRAM}


def test_every_optional_program_is_named() -> None:
    text = "".join(path.read_text() for path in sorted(SOURCES.glob("*.h")))
    programs = set(re.findall(r'SEC\("\?lsm/\w+"\)\nint BPF_PROG\((\w+)', text))
    assert programs == set(JUDGED) | SERVED_BY_ANOTHER | JUDGES_NOTHING


def test_nothing_is_missing_where_all_are_attached() -> None:
    assert unjudged(set(JUDGED)) == ()


def test_what_a_missing_program_would_judge() -> None:
    attached = set(JUDGED) - {"varmor_socket", "varmor_bpf"}
    assert unjudged(attached) == ("bpf, bpf_prog_load", "sockets")

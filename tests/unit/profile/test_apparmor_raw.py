# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.manifests import profile
from varmor.errors import PolicyError
from varmor.profile.apparmor_raw import RawTextError, check


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("deny /etc/shadow r,", 1),
        (
            "  audit deny /a w,\n\n# a comment, with a comma }\n/b{c,d{e,f}}/[,g]* rwk,  # another {\n"
            "capability net_raw,\n",
            3,
        ),
        ('deny "/with space/{a b}" r,', 1),
        ("mount options=(ro, nosuid) fstype=ext4 /dev/sd[a-z] -> /mnt/,", 1),
        ("deny @{PROC}/@{pid}/mem w,owner /x r,", 2),
        ("/usr/bin/{,x}cat ix,", 1),
        ("file,", 1),
        ("rw /a,", 1),
        ("signal (send) set=(term kill) peer=foo,", 1),
        ("network inet tcp,", 1),
        ("deny network,", 1),
        ("/a\\,b r,", 1),
        ("set rlimit nofile <= 10,", 1),
        ("ptrace (read) peer=varmor-*,", 1),
        ("deny mount\n  fstype=proc\n  -> /x/,", 1),
        ("/x#y r,", 1),
    ],
)
def test_right(text: str, count: int) -> None:
    assert check(text) == count


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("deny /a w", (1, 1), "does not end with a comma"),
        ("deny /a w,\n  deny /b r\n", (2, 3), "the rule 'deny /b r' does not end with a comma"),
        ("deny /a w,\n}\nprofile evil {\n", (2, 1), "'}' without '{'"),
        ("}", (1, 1), "'}' without '{'"),
        ("profile x {\n /a r,\n}", (1, 11), "'{' begins a block"),
        ("/bin/x {\n}", (1, 8), "'{' begins a block"),
        ("audit {\n /a r,\n}", (1, 7), "'{' begins a block"),
        ("/bin/x{ /a r, }", (1, 7), "'{' begins a block"),
        ("/a{b, c} r,", (1, 6), "a space inside '{...}'"),
        ("hat x,", (1, 1), "'hat' is not possible"),
        ("^hat,", (1, 1), "'^hat' is not possible"),
        ("include <abstractions/base>,", (1, 1), "'include' is not possible"),
        ("deny /x r,\n#include <tunables/global>", (2, 1), "'#include' is not possible"),
        ("@{X}=/a,", (1, 1), "is not possible in raw rules"),
        ("abi <abi/3.0>,", (1, 1), "'abi' is not possible"),
        ("alias /a -> /b,", (1, 1), "'alias' is not possible"),
        ("/a{b r,", (1, 5), "a space inside"),
        ("/a{b,c", (1, 3), "'{' is not closed"),
        ("/a[b r,", (1, 5), "a space inside '[...]'"),
        ("ptrace (read,", (1, 8), "'(' is not closed"),
        ("ptrace (read],", (1, 13), "']' without '['"),
        ('deny "/a r,', (1, 6), "the quote is not closed"),
        ("deny ,", (1, 1), "expected a rule before the comma"),
        (",", (1, 1), "expected a rule before the comma"),
        ("", (1, 1), "expected at least one rule"),
        ("# nothing\n", (1, 1), "expected at least one rule"),
        ("dney /a w,", (1, 1), "a rule cannot begin with 'dney'"),
        ("deny etc/passwd w,", (1, 1), "a rule cannot begin with 'etc/passwd'"),
    ],
)
def test_wrong(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(RawTextError) as caught:
        check(text)
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.column) == place


def test_the_policy_error_names_the_field() -> None:
    with pytest.raises(PolicyError) as caught:
        profile(appArmorRawRules=[{"rules": "deny /ok w,"}, {"rules": "deny /a w,\ndeny /b r"}])
    assert caught.value.field == "spec.policy.enhanceProtect.appArmorRawRules[1].rules"
    assert "line 2 of the text: the rule 'deny /b r' does not end with a comma" in str(caught.value)


@given(st.text('/a*{}[](),"\\# \n^@=->deny profile', max_size=60))
def test_accepted_text_keeps_every_brace_inside_a_word(text: str) -> None:
    try:
        check(text)
    except RawTextError:
        return
    # What is outside comments and quotes has no brace that stands alone: no block can begin or end.
    for line in text.splitlines():
        for word in line.split("#")[0].split():
            if '"' not in text and "\\" not in text:
                assert word not in ("{", "}")

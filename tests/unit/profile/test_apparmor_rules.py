# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from varmor.catalog.types import AppArmorForm, Rule, RuleList
from varmor.profile.apparmor_rules import Frame, built_in, disks_named, expressible
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NodeFacts

_OWN = '"{,*//&}p{,//&*}"'
_OBSERVE = Reaction(deny=False, audit=True)


def _selected(*bodies: str, parser: tuple[int, int] = (3, 0), kernel: tuple[int, int] = (4, 15)) -> Selected:
    form = AppArmorForm(bodies, parser, kernel)
    rule = Rule("some-rule", RuleList.HARDENING, summary="", attack="", breaks="", apparmor=form)
    return Selected(rule, "spec.x")


def _lines(body: str, reaction: Reaction, *, allows_all: bool = False, targets: tuple[str, ...] = ()) -> list[str]:
    frame = Frame("p", allows_all, targets)
    return [line for line in built_in([_selected(body)], reaction, NodeFacts(), frame) if line.endswith(",")]


def test_each_rule_stands_once_under_its_name() -> None:
    lines = list(built_in([_selected("a"), _selected("a")], Reaction(True, False), NodeFacts(), Frame("p", False)))
    assert lines == ["", "# some-rule", "deny a,"]


def test_refused_and_recorded() -> None:
    assert _lines("/a w", Reaction(deny=True, audit=True)) == ["audit deny /a w,"]
    assert _lines("/a w", Reaction(deny=False, audit=False)) == []


@pytest.mark.parametrize(
    ("body", "unprivileged", "privileged"),
    [
        ("/a rw", "audit /a rw,", "audit /a rw,"),
        ("/{,**/}sh rx", "audit /{,**/}sh rix,", "audit /{,**/}sh rix,"),
        ("capability sys_admin bpf", "audit capability sys_admin bpf,", "audit capability sys_admin bpf,"),
        ("network alg", "audit network alg,", "audit network alg,"),
        ("umount", "audit umount,", "audit umount,"),
        ("userns", "audit userns,", "audit userns,"),
        ("mount fstype=proc", "", "audit mount fstype=proc,"),
        ("mount options in (bind,rbind) /proc** -> /**", "", "audit mount options in (bind,rbind) /proc** -> /**,"),
        ("remount", "", "audit remount,"),
        ("pivot_root", "", "audit pivot_root,"),
        ("change_profile", "", "audit change_profile,"),
        ("ptrace (read)", f"audit ptrace (read) peer={_OWN},", "audit ptrace (read),"),
        ("ptrace read", f"audit ptrace read peer={_OWN},", "audit ptrace read,"),
        ("signal", f"audit signal peer={_OWN},", "audit signal,"),
        ("signal (send) peer=x", "audit signal (send) peer=x,", "audit signal (send) peer=x,"),
    ],
)
def test_observing_allows_no_more_than_the_base(body: str, unprivileged: str, privileged: str) -> None:
    assert _lines(body, _OBSERVE) == ([unprivileged] if unprivileged else [])
    assert _lines(body, _OBSERVE, allows_all=True) == [privileged]


def test_the_execution_of_a_target_is_said_by_its_own_line() -> None:
    assert _lines("/bin/su rx", _OBSERVE, targets=("/bin/su",)) == ["audit /bin/su r,"]
    assert _lines("/bin/su x", _OBSERVE, targets=("/bin/su",)) == []


def test_what_parser_and_kernel_know() -> None:
    facts = NodeFacts(apparmor_parser=(3, 0), kernel=(6, 1))
    assert expressible([_selected("a")], facts)
    assert not expressible([_selected("a", parser=(4, 0))], facts)
    assert not expressible([_selected("a", kernel=(6, 7))], facts)
    assert not expressible([Selected(Rule("x", RuleList.HARDENING, summary="", attack="", breaks=""), "spec")], facts)


def test_disks() -> None:
    assert disks_named("/dev/a rw", ("sda",)) == "/dev/a rw"
    made = disks_named("mount /dev/@{disks}", ("sda1", "nvme0n1p1", "dm-0", "cciss/c0d0", "odd{disk", "loop0", "sr0"))
    assert made.startswith("mount /dev/{sd[a-z]*,")
    assert made.endswith(",bsg/*,cciss/c0d0,odd\\{disk}")

# SPDX-License-Identifier: Apache-2.0
"""AppArmor text is read as rules."""

from __future__ import annotations

from varmor.advice.apparmor_text import sections
from varmor.advice.path_rules import Verdict

TEXT = """
abi <abi/3.0>,
#include <tunables/global>

profile varmor-default-web flags=(attach_disconnected,mediate_deleted) {
  #include <abstractions/base>
  file,
  network,
  deny @{PROC}/sysrq-trigger rwklx,

  # disable-write-etc
  audit deny /etc/** wl,

  # disable-cap-net-raw
  deny capability net_raw net_admin,

  /usr/bin/curl px -> varmor-default-web//&varmor-default-web//child_1,

  profile child_1 flags=(attach_disconnected) {
    file,
    # disable-write-bin
    deny "/usr/bin/**" w,
  }
}
"""


def test_path_rules_with_their_origin() -> None:
    parent, _child = sections(TEXT)
    verdict, origin = parent.path_rules().judge_path("/etc/passwd", "write")
    assert (verdict.denied, verdict.recorded, origin) == (True, True, "disable-write-etc")
    verdict, _ = parent.path_rules().judge_path("/proc/sysrq-trigger", "write")
    assert (verdict.denied, verdict.recorded) == (True, False)
    assert not parent.path_rules().judge_path("/etc/passwd", "read")[0].denied
    assert parent.path_rules().judge_path("/etc/passwd", "append")[0].denied


def test_other_statements() -> None:
    parent, _child = sections(TEXT)
    statements = {(item.body, item.deny): item.origin for item in parent.statements}
    assert statements == {
        ("network", False): "",
        ("capability net_raw", True): "disable-cap-net-raw",
        ("capability net_admin", True): "disable-cap-net-raw",
    }


def test_a_stacked_child_profile_adds_to_its_parent() -> None:
    parent, child = sections(TEXT)
    assert child.executables == ("/usr/bin/curl",)
    assert child.path_rules().judge_path("/etc/passwd", "write")[0].denied
    assert child.path_rules().judge_path("/usr/bin/x", "write") == (
        Verdict(denied=True),
        "disable-write-bin",
    )
    assert not parent.path_rules().judge_path("/usr/bin/x", "write")[0].denied


def test_what_no_rule_allows_is_refused_unless_the_profile_complains() -> None:
    (strict,) = sections("profile p {\n  /srv/** r,\n}\n")
    assert strict.path_rules().judge_path("/srv/a", "write")[0].denied
    (lenient,) = sections("profile p flags=(complain) {\n  /srv/** r,\n}\n")
    verdict, _ = lenient.path_rules().judge_path("/srv/a", "write")
    assert (verdict.denied, verdict.recorded) == (False, True)

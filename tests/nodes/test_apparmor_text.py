# SPDX-License-Identifier: Apache-2.0
"""Every AppArmor text that can come out of a policy is taken by the parsers of Debian 12 and 13."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.nodes.parsers import SUITES, apparmor_parser
from tests.unit.manifests import manifest, policy
from varmor.catalog.loader import load
from varmor.catalog.types import Rule
from varmor.errors import PolicyError
from varmor.kernel.apparmor_parser import AppArmorTextError, Parser
from varmor.policy.parse import parse_object, parse_policies
from varmor.profile.apparmor import profile_text
from varmor.profile.compile import compile_policy
from varmor.profile.selection import Reaction, Selected
from varmor.profile.types import NodeFacts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="apt's package lists are read as root")

_NAME = "varmor-default-web"
_REACTIONS = [Reaction(deny=True, audit=False), Reaction(deny=True, audit=True), Reaction(deny=False, audit=True)]
_TARGETS = ("/usr/bin/cat", "/opt/a b,c", '/opt/"q\\', "/opt/#x", "/bin/busybox")
_RULES = [rule for rule in load().rules if rule.apparmor]


@pytest.fixture(scope="module", params=SUITES)
def parser(request: pytest.FixtureRequest) -> Parser:
    folder = apparmor_parser(request.param)
    return Parser(str(folder / "apparmor_parser"), base=folder / "etc/apparmor.d", timeout=300)


@pytest.fixture(scope="module")
def facts(parser: Parser) -> NodeFacts:
    """A node with this parser, whose kernel enforces everything."""
    return NodeFacts(
        apparmor_parser=parser.version(),
        apparmor_abi=parser.abi_files(),
        kernel=(99, 0),
        disk_devices=("sda", "sda1", "nvme0n1", "cciss/c0d0", "odd{name"),
    )


def _selected(rules: list[Rule], *targets: str) -> list[Selected]:
    return [Selected(rule, "spec.x", targets) for rule in rules]


def test_the_versions(parser: Parser, facts: NodeFacts) -> None:
    assert facts.apparmor_parser in ((3, 0), (4, 1))
    assert ("4.0" in facts.apparmor_abi) == (facts.apparmor_parser == (4, 1))


@pytest.mark.parametrize("mode", ["AlwaysAllow", "RuntimeDefault", "BehaviorModeling"])
def test_modes(parser: Parser, facts: NodeFacts, mode: str) -> None:
    document = manifest(mode=mode, enforcer="AppArmor")
    if mode == "BehaviorModeling":
        document["spec"]["policy"]["modelingOptions"] = {"duration": 5}
    text = compile_policy(parse_object(document, "test"), load(), facts).apparmor
    assert text is not None
    assert parser.check(_NAME, text) == []


@pytest.mark.parametrize("rule", _RULES, ids=[rule.name for rule in _RULES])
def test_each_rule(parser: Parser, facts: NodeFacts, rule: Rule) -> None:
    for reaction, privileged in ((_REACTIONS[1], False), (_REACTIONS[2], True)):
        text = profile_text(_NAME, policy(privileged=privileged), _selected([rule]), reaction, facts)
        assert parser.check(_NAME, text) == []


@pytest.mark.parametrize("privileged", [False, True])
@pytest.mark.parametrize("reaction", _REACTIONS, ids=["deny", "audit deny", "audit"])
def test_all_rules_together_for_the_workload_and_for_targets(
    parser: Parser, facts: NodeFacts, reaction: Reaction, privileged: bool
) -> None:
    raw = [{"rules": "deny /x r,\n/y{,z} rw,"}, {"rules": "deny network,", "targets": [_TARGETS[0]]}]
    made = policy(privileged=privileged, appArmorRawRules=raw)
    half = len(_RULES) // 2
    of_targets = [*_selected(_RULES[half:], *_TARGETS[:4]), *_selected(_RULES[-3:], _TARGETS[4])]
    selected = [*_selected(_RULES[:half]), *of_targets]
    text = profile_text(_NAME, made, selected, reaction, facts)
    assert text.count("profile child_") == 3
    assert parser.check(_NAME, text) == []


def test_rules_of_newer_parsers_are_left_out(parser: Parser, facts: NodeFacts) -> None:
    newer = [rule for rule in _RULES if rule.apparmor and rule.apparmor.parser >= (4, 0)]
    assert newer
    text = profile_text(_NAME, policy(), _selected(newer), _REACTIONS[0], facts)
    assert all((f"# {rule.name}\n" in text) == (facts.apparmor_parser >= (4, 0)) for rule in newer)


_CUSTOM = """\
#include <tunables/global>
@{WEB}=/srv/www /var/www
profile web /usr/sbin/nginx xattrs=(user.web="yes") flags=(audit) {
  #include <abstractions/base>
  /usr/sbin/nginx mrix,
  @{WEB}/** r, # not } an end
  /{{var,srv},opt}/<b>/** r,
  deny /etc/shadow r,
  deny owner /tmp/** x,
  signal (send,receive) peer=web,
  ptrace peer=web//helper,
  unix peer=(label=web),
  /usr/bin/helper cx -> helper,
  /usr/bin/other px -> web//helper,
  profile helper {
    /usr/bin/helper mr,
    deny network,
  }
  ^hat flags=(attach_disconnected) {
    /hat r,
  }
}
"""


def _defense(custom: str, *, allow: bool = False, raw: str = "deny /raw w,\n\naudit /seen r,\n") -> dict[str, Any]:
    document = manifest(mode="DefenseInDepth", enforcer="AppArmor")
    part = {"profileType": "Custom", "customProfile": custom, "appArmorRawRules": [{"rules": raw}]}
    document["spec"]["policy"]["defenseInDepth"] = {"appArmor": part, "allowViolations": allow}
    return document


@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize(
    "custom",
    [_CUSTOM, "/usr/bin/x { /a r, }", "profile x\n  flags=(complain)\n{\n/a r,}", "abi <abi/3.0>,\nprofile x { }"],
    ids=["long", "path", "several lines", "abi"],
)
def test_custom_profiles(parser: Parser, facts: NodeFacts, custom: str, allow: bool) -> None:
    text = compile_policy(parse_object(_defense(custom, allow=allow), "test"), load(), facts).apparmor
    assert text is not None
    assert parser.check(_NAME, text) == []


_MANIFEST = """\
apiVersion: crd.varmor.org/v1beta1
kind: VarmorPolicy
metadata: {name: web}
spec:
  target: {kind: Container, name: web}
  policy:
    enforcer: AppArmor
    mode: EnhanceProtect
    enhanceProtect:
      attackProtectionRules:
        - rules: [disable-write-etc]
          targets: [/opt/x]
      appArmorRawRules:
        - rules: |
            deny /right w,

            WRONG
"""


def _faults() -> Iterator[Any]:
    for wrong in (
        "deny /a qq,", "capability nothing,", "network inet nothing,", "signal set=nothing,", "deny /a{b w,",
        "deny @{NOTHING}/a w,", "deny /a -> /b -> /c,",
    ):  # fmt: skip
        for targets in ("", "\n          targets: [/opt/y]"):
            yield pytest.param(wrong, targets, id=f"{wrong}{' for a target' if targets else ''}")


@pytest.mark.parametrize(("wrong", "targets"), list(_faults()))
def test_a_wrong_rule_is_refused_at_its_line_of_the_manifest(
    parser: Parser, facts: NodeFacts, wrong: str, targets: str
) -> None:
    (made,) = parse_policies(_MANIFEST.replace("WRONG", wrong).rstrip() + targets + "\n", "m.yaml")
    try:
        text = compile_policy(made, load(), facts).apparmor
        assert text is not None
        parser.check(_NAME, text)
    except AppArmorTextError as error:
        assert str(error.about(made)).startswith("m.yaml:17: VarmorPolicy default/web: "), str(error.about(made))
    except PolicyError as error:
        assert str(error).startswith("m.yaml:17: "), str(error)
    else:
        pytest.fail(f"{wrong!r} was taken")

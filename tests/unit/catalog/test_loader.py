# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from varmor.catalog.loader import CatalogError, load, read
from varmor.catalog.types import Rule, RuleList
from varmor.policy.types import Enforcer
from varmor.profile.pattern import canonical
from varmor.profile.seccomp_names import is_known

EXPECTED = {
    "disable-write-etc": ("attackProtectionRules", "AppArmor BPF"),
    "mitigate-sa-leak": ("attackProtectionRules", "AppArmor BPF"),
    "disallow-write-core-pattern": ("hardeningRules", "AppArmor BPF"),
    "disallow-mount": ("hardeningRules", "AppArmor BPF Seccomp"),
    "disable-cap-privileged": ("hardeningRules", "AppArmor BPF"),
    "disable-cap-net-raw": ("hardeningRules", "AppArmor BPF"),
    "disable-shell": ("attackProtectionRules", "AppArmor BPF"),
    "block-access-to-metadata-service": ("attackProtectionRules", "BPF"),
    "disallow-create-user-ns": ("hardeningRules", "AppArmor BPF Seccomp"),
    "dirty-pipe-mitigation": ("vulMitigationRules", "Seccomp"),
}


def test_the_rules() -> None:
    found = {rule.name: (rule.list.value, " ".join(rule.enforcers.names())) for rule in load().rules}
    assert found == EXPECTED


@pytest.mark.parametrize("rule", load().rules, ids=lambda rule: rule.name)
def test_each_rule_is_well_made(rule: Rule) -> None:
    assert rule.summary.endswith(".")
    assert rule.attack.endswith(".")
    assert rule.breaks.endswith(".")
    if rule.bpf:
        assert [canonical(path.pattern) for path in rule.bpf.paths] == [path.pattern for path in rule.bpf.paths]
    for form in rule.seccomp:
        assert all(is_known(name) for name in form.names)


def test_find_is_forgiving() -> None:
    catalog = load()
    rule = catalog.find("Disallow_Metadata_SERVICE")
    assert rule is not None
    assert rule.name == "block-access-to-metadata-service"
    assert catalog.find("nothing") is None


def test_privileged_capabilities() -> None:
    rule = load().find("disable-cap-privileged")
    assert rule is not None
    assert rule.bpf is not None
    assert rule.apparmor is not None
    assert len(rule.bpf.capabilities) == 27
    assert [f"capability {name}" for name in rule.bpf.capabilities] == list(rule.apparmor.rules)


GOOD = "name: x, list: hardeningRules, summary: a, attack: b, breaks: c"


def test_read() -> None:
    (rule,) = read(f"- {{{GOOD}, apparmor: {{rules: [mount], parser: '4.1'}}}}", "f")
    assert rule.apparmor is not None
    assert rule.apparmor.parser == (4, 1)
    assert rule.list is RuleList.HARDENING
    assert rule.enforcers == Enforcer.APPARMOR


@pytest.mark.parametrize(
    "entry",
    [
        f"{{{GOOD}}}",
        f"{{{GOOD}, apparmor: {{rules: [x]}}, extra: 1}}",
        f"{{{GOOD}, bpf: {{capabilities: [nope]}}}}",
        f"{{{GOOD}, bpf: {{paths: [{{pattern: /x, access: [fly]}}]}}}}",
        f"{{{GOOD}, seccomp: [{{names: [a], args: [{{index: 0}}]}}]}}",
        "{name: x}",
        "[]",
    ],
)
def test_a_damaged_file_is_an_error(entry: str) -> None:
    with pytest.raises(CatalogError, match="catalog: f: rule"):
        list(read(f"- {entry}", "f"))

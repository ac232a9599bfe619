# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from varmor.catalog.loader import load
from varmor.cli.main import main


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["rules", *arguments]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys) == [rule.name for rule in load().rules]


def test_the_table_tells_the_enforcers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--search", "metadata-service"]) == 0
    table = " ".join(capsys.readouterr().out.split())
    assert "block-access-to-metadata-service -------- BPF ------- Refuses" in table


@pytest.mark.parametrize(
    ("arguments", "some", "not_some"),
    [
        (["--list", "vulMitigationRules"], "dirty-pipe-mitigation", "disable-shell"),
        (["--enforcer", "Seccomp"], "dirty-pipe-mitigation", "disable-shell"),
        (["--enforcer", "apparmor", "--kernel", "6.1"], "disable-shell", "disallow-create-user-ns"),
        (["--enforcer", "AppArmor", "--kernel", "6.12.107+deb13"], "disallow-create-user-ns", "dirty-pipe-mitigation"),
        (["--enforcer", "bpf", "--kernel", "5.15"], "", "disable-shell"),
        (["--enforcer", "seccomp", "--kernel", "5.15"], "dirty-pipe-mitigation", "disable-shell"),
        (["--search", "cve-2022-0847"], "dirty-pipe-mitigation", "disable-shell"),
        (["--search", "disable-IPV4"], "disable-inet", "disable-inet6"),
        (["--search", "nothing has this"], "", "disable-shell"),
    ],
)
def test_filters(arguments: list[str], some: str, not_some: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(capsys, *arguments)
    assert not_some not in found
    assert some in found if some else not found


def test_one_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "Disallow_Create_User_NS"]) == 0
    out = capsys.readouterr().out
    for text in (
        "disallow-create-user-ns\n",
        "  list:      spec.policy.enhanceProtect.hardeningRules\n",
        "  CVEs:      CVE-2022-0185",
        "  AppArmor (needs Linux 6.7, apparmor_parser 4.0):\n    deny userns,\n",
        "  BPF:\n    operation userns_create\n",
        "    unshare, clone when arg0 has 0x10000000: errno 1\n",
        "    clone3: answered as missing (ENOSYS)\n",
        "  systemd units, instead of seccomp:\n    RestrictNamespaces=~user\n",
    ):
        assert text in out


def test_reasons_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "dirty-pipe-mitigation"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "AppArmor: no form: the kernel asks for no more" in out
    assert "splice: errno 1 but: sendfile(2)" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "disable-inet", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["aliases"] == ["disable-ipv4"]
    assert one["enforcers"]["BPF"]["form"] == ["connect 0.0.0.0/0", "socket domain inet, smc"]
    assert main(["rules", "--search", "disable-ipv4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [one]


def test_an_unknown_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "disable-shel"]) == 2
    assert "unknown rule 'disable-shel' (did you mean 'disable-shell'?)" in capsys.readouterr().err


def test_a_wrong_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["rules", "--kernel", "new"])
    assert caught.value.code == 2
    assert "expected a version such as 6.1, found 'new'" in capsys.readouterr().err


def test_every_rule_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for rule in load().rules:
        assert main(["rules", rule.name]) == 0
    assert capsys.readouterr().out.count("  blocks: ") == len(load().rules)

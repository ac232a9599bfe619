# SPDX-License-Identifier: Apache-2.0
"""``varmor explain`` asks a policy about one act."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.manifests import manifest
from varmor.cli.main import main

NODE = ["--kernel", "6.1", "--apparmor", "3.0", "--machine", "x86_64"]


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy with rules of all enforcers."""
    path = tmp_path / "policy.yaml"
    document = manifest(
        hardeningRules=["disallow-create-user-ns", "disable-cap-net-raw"],
        attackProtectionRules=[
            {"rules": ["disable-write-etc", "block-access-to-metadata-service", "disable-inet6"]},
            {"rules": ["disable-busybox"], "targets": ["/usr/bin/php"]},
        ],
        auditViolations=True,
    )
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("words", "denied_by", "allowed_by"),
    [
        (["write", "/etc/passwd"], {"AppArmor", "BPF"}, set()),
        (["read", "/etc/passwd"], set(), {"AppArmor", "BPF"}),
        (["write", "/srv/file"], set(), {"AppArmor", "BPF"}),
        (["connect", "169.254.169.254", "80"], {"BPF"}, {"AppArmor"}),
        (["connect", "192.0.2.1", "80"], set(), {"AppArmor", "BPF"}),
        (["capability", "CAP_NET_RAW"], {"AppArmor", "BPF"}, set()),
        (["capability", "chown"], set(), {"AppArmor", "BPF"}),
        (["operation", "userns_create"], {"BPF"}, set()),
        (["syscall", "unshare", "0x10000000"], {"Seccomp"}, set()),
        (["syscall", "unshare", "0x20000"], set(), {"Seccomp"}),
        (["socket", "inet6", "stream"], {"AppArmor", "BPF"}, set()),
        (["socket", "inet", "dgram"], set(), {"AppArmor", "BPF"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_answers(
    policy: str, words: list[str], denied_by: set[str], allowed_by: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", policy, *words, "--json", *NODE]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    answers = {answer["enforcer"]: answer["denied"] for answer in document["answers"]}
    assert {name for name, denied in answers.items() if denied} == denied_by
    assert allowed_by <= {name for name, denied in answers.items() if not denied}
    assert document["denied"] is bool(denied_by)


def test_the_text_names_the_rule(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", policy, "write", "/etc/passwd", *NODE]) == 0
    out = capsys.readouterr().out
    assert "write /etc/passwd: denied and recorded" in out
    assert "BPF       denied and recorded  by disable-write-etc" in out
    assert "AppArmor  denied and recorded  by disable-write-etc" in out


def test_a_program_with_rules_of_its_own(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", policy, "exec", "/bin/busybox", *NODE]
    assert main(words) == 0
    assert "exec /bin/busybox: allowed" in capsys.readouterr().out
    assert main([*words, "--executable", "/usr/bin/php"]) == 0
    assert "exec /bin/busybox: denied" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["read", "etc"], "expected a full path"),
        (["syscall", "opne"], "unknown syscall 'opne'"),
        (["syscall", "open", "x"], "arguments are numbers"),
        (["capability", "net_rwa"], "did you mean 'net_raw'"),
        (["connect", "somewhere"], "expected an address"),
        (["socket", "inet7"], "unknown domain 'inet7'"),
        (["operation", "fly"], "unknown operation 'fly'"),
        (["read", "/a", "/b"], "expected 1 words after read, found 2"),
    ],
)
def test_questions_that_make_no_sense(
    policy: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", policy, *words, *NODE]) == 2
    assert message in capsys.readouterr().err

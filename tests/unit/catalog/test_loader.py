# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from varmor.catalog import loader
from varmor.catalog.loader import CatalogError, catalog_of, load, rules_of
from varmor.catalog.source import entries
from varmor.catalog.types import (
    AppArmorForm,
    BpfForm,
    MountForm,
    PathForm,
    PortForm,
    Rule,
    RuleList,
    SocketForm,
    SyscallForm,
)
from varmor.policy.types import Enforcer, SyscallArg


def read(text: str, source: str) -> list[Rule]:
    return list(rules_of(entries(text, source), source))


def test_find_is_forgiving() -> None:
    catalog = load()
    rule = catalog.find("Disallow_Metadata_SERVICE")
    assert rule is not None
    assert rule.name == "block-access-to-metadata-service"
    assert catalog.find("nothing") is None


REASONS = "cannot: {bpf: d, seccomp: e}"
GOOD = f"name: x, list: hardeningRules, summary: a, attack: b, breaks: c, {REASONS}"
BPF = "name: x, list: hardeningRules, summary: a, attack: b, breaks: c, cannot: {apparmor: d, seccomp: e}"
SECCOMP = "name: x, list: hardeningRules, summary: a, attack: b, breaks: c, cannot: {apparmor: d, bpf: e}"


def test_read_apparmor() -> None:
    text = f"- {{{GOOD}, cves: [CVE-2024-1], limits: {{apparmor: f}}, apparmor: {{rules: [mount], parser: '4.1'}}}}"
    (rule,) = read(text, "f")
    assert rule.apparmor == AppArmorForm(("mount",), (4, 1), (4, 15))
    assert rule.list is RuleList.HARDENING
    assert rule.enforcers == Enforcer.APPARMOR
    assert rule.cves == ("CVE-2024-1",)
    assert rule.reason(Enforcer.BPF) == "d"
    assert rule.limit(Enforcer.APPARMOR) == "f"
    assert rule.limit(Enforcer.BPF) == ""


def test_read_bpf() -> None:
    text = f"""
- {{{BPF}, bpf: {{
    paths: [{{pattern: /x, access: [read, write]}}],
    egress: [10.0.0.0/8],
    ports: [{{ports: [1, 2]}}, {{network: 10.0.0.1, ports: [3]}}],
    services: [a/b],
    sockets: [{{}}, {{domains: [inet], types: [raw]}}],
    ptrace: [read],
    mounts: [{{fstype: proc}}, {{source: /a, target: /b, flags: [bind]}}],
    capabilities: [chown],
    switches: [bpf],
    kernel: '6.8'}}}}"""
    (rule,) = read(text, "f")
    assert rule.bpf == BpfForm(
        paths=(PathForm("/x", ("read", "write")),),
        egress=("10.0.0.0/8",),
        ports=(PortForm((1, 2)), PortForm((3,), "10.0.0.1")),
        services=("a/b",),
        sockets=(SocketForm(), SocketForm(("inet",), ("raw",))),
        ptrace=("read",),
        mounts=(MountForm(fstype="proc"), MountForm(source="/a", target="/b", flags=("bind",))),
        capabilities=("chown",),
        switches=("bpf",),
        kernel=(6, 8),
    )


def test_read_seccomp() -> None:
    args = "[{index: 0, is: 2}, {index: 1, mask: 15, is: 1}, {index: 2, has: 64}]"
    (rule,) = read(f"- {{{SECCOMP}, seccomp: [{{names: [a], errno: 13, args: {args}}}]}}", "f")
    masked = "SCMP_CMP_MASKED_EQ"
    assert rule.seccomp == (
        SyscallForm(
            ("a",),
            13,
            (
                SyscallArg(0, 0xFFFFFFFF, masked, 2),
                SyscallArg(1, 15, masked, 1),
                SyscallArg(2, 64, masked, 64),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (f"{{{GOOD}}}", "no enforcer has a form"),
        (f"{{{GOOD}, apparmor: {{rules: [x]}}, extra: 1}}", "unknown keys"),
        (f"{{{GOOD}, apparmor: {{rules: []}}}}", "the AppArmor form is empty"),
        (f"{{{GOOD}, apparmor: {{rules: [x], parser: new}}}}", "ValueError"),
        (f"{{{GOOD}, apparmor: {{rules: [x]}}, limits: {{bpf: y}}}}", "limits of BPF, which has no form"),
        (f"{{{GOOD}, apparmor: {{rules: [x]}}, limits: {{smack: y}}}}", "KeyError"),
        (f"{{{GOOD}, seccomp: [{{names: [a]}}]}}", "apparmor needs either a form or a reason in 'cannot', found none"),
        (f"{{{BPF}, apparmor: {{rules: [x]}}}}", "apparmor needs either a form or a reason in 'cannot', found both"),
        (f"{{{BPF}, bpf: {{}}}}", "the BPF form is empty"),
        (f"{{{BPF}, bpf: {{capabilities: [nope]}}}}", "unknown capabilities"),
        (f"{{{BPF}, bpf: {{paths: [{{pattern: /x, access: [fly]}}]}}}}", "access"),
        (f"{{{BPF}, bpf: {{egress: [nowhere]}}}}", "nowhere"),
        (f"{{{BPF}, bpf: {{ports: [{{ports: [0]}}]}}}}", "ports"),
        (f"{{{BPF}, bpf: {{ports: [{{ports: []}}]}}}}", "ports"),
        (f"{{{BPF}, bpf: {{services: [kubernetes]}}}}", "namespace/name"),
        (f"{{{SECCOMP}, seccomp: [{{names: [a], args: [{{index: 0}}]}}]}}", "KeyError"),
        (f"{{{SECCOMP}, seccomp: [{{names: [a], args: [{{index: 0, is: 1, op: x}}]}}]}}", "unknown keys"),
        (f"{{{SECCOMP}, seccomp: [{{names: [a], args: [{{index: 0, mask: 1, is: 2}}]}}]}}", "outside of the mask"),
        (
            f"{{{SECCOMP}, seccomp: [{{names: [a], args: [{{index: 0, is: 1}}, {{index: 0, has: 2}}]}}]}}",
            "two conditions on one argument",
        ),
        ("{name: x}", "KeyError"),
        ("[]", "rule"),
    ],
)
def test_a_damaged_rule_is_an_error(entry: str, problem: str) -> None:
    with pytest.raises(CatalogError, match="catalog: f: rule") as caught:
        read(f"- {entry}", "f")
    assert problem in str(caught.value)


@pytest.mark.parametrize(("text", "problem"), [("- {", "not YAML"), ("a: b", "expected a list of rules")])
def test_a_damaged_file_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(CatalogError, match=f"catalog: f: {problem}"):
        entries(text, "f")


def test_names_are_unique_and_canonical() -> None:
    (rule,) = read(f"- {{{GOOD}, apparmor: {{rules: [x]}}}}", "f")
    with pytest.raises(CatalogError, match="'x' is used twice"):
        catalog_of([rule, rule])
    with pytest.raises(CatalogError, match="'X_Y' is used twice or not in canonical form"):
        catalog_of([replace(rule, name="X_Y")])
    with pytest.raises(CatalogError, match="no rules"):
        catalog_of([])


@pytest.mark.parametrize("content", [None, "[{]", "\xff"])
def test_a_damaged_installation_is_an_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "rules.json"
    if content is not None:
        data.write_text(content, encoding="latin-1")
    monkeypatch.setattr(loader, "DATA", data)
    with pytest.raises(CatalogError, match="install varmor again"):
        loader.load.__wrapped__()

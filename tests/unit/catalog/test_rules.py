# SPDX-License-Identifier: Apache-2.0
"""The rules as data: which there are, and that every form is one that the enforcers can take."""

from __future__ import annotations

import re

import pytest

from varmor.catalog import capabilities
from varmor.catalog.loader import load
from varmor.catalog.types import Rule, RuleList
from varmor.policy.types import Enforcer
from varmor.profile import bpf_words, tables
from varmor.profile.automaton import build
from varmor.profile.pattern import canonical
from varmor.profile.seccomp_names import is_known

RULES = load().rules
SINGLE = tuple(f"disable-cap-{name.replace('_', '-')}" for name in capabilities.NAMES)

# The names that vArmor 0.10 knows: policies written for it find every rule here, in the same list.
UPSTREAM = {
    RuleList.HARDENING: """
        disallow-write-core-pattern disallow-mount-securityfs disallow-mount-procfs disallow-write-release-agent
        disallow-mount-cgroupfs disallow-debug-disk-device disallow-mount-disk-device disallow-mount disallow-umount
        disallow-insmod disallow-load-bpf-prog disallow-load-ebpf disallow-access-procfs-root disallow-access-kallsyms
        disable-cap-all disable-cap-all-except-net-bind-service disable-cap-privileged
        disable-cap-chown disable-cap-dac-override disable-cap-dac-read-search disable-cap-fowner disable-cap-fsetid
        disable-cap-kill disable-cap-setgid disable-cap-setuid disable-cap-setpcap disable-cap-linux-immutable
        disable-cap-net-bind-service disable-cap-net-broadcast disable-cap-net-admin disable-cap-net-raw
        disable-cap-ipc-lock disable-cap-ipc-owner disable-cap-sys-module disable-cap-sys-rawio disable-cap-sys-chroot
        disable-cap-sys-ptrace disable-cap-sys-pacct disable-cap-sys-admin disable-cap-sys-boot disable-cap-sys-nice
        disable-cap-sys-resource disable-cap-sys-time disable-cap-sys-tty-config disable-cap-mknod disable-cap-lease
        disable-cap-audit-write disable-cap-audit-control disable-cap-setfcap disable-cap-mac-override
        disable-cap-mac-admin disable-cap-syslog disable-cap-wake-alarm disable-cap-block-suspend disable-cap-audit-read
        disable-cap-perfmon disable-cap-bpf disable-cap-checkpoint-restore
        disallow-abuse-user-ns disallow-create-user-ns disallow-load-all-bpf-prog disallow-load-bpf-via-setsockopt
        disallow-userfaultfd-creation
    """,
    RuleList.ATTACK_PROTECTION: """
        mitigate-sa-leak mitigate-disk-device-number-leak mitigate-overlayfs-leak mitigate-host-ip-leak
        block-access-to-metadata-service disallow-metadata-service block-access-to-volc-metadata-service
        block-access-to-alibaba-metadata-service block-access-to-aws-metadata-service
        block-access-to-oci-metadata-service
        disable-write-etc disable-access-passwd disable-access-shadow disable-access-ssh-dir disable-write-skills
        disable-busybox disable-shell disable-wget disable-curl disable-chmod disable-su-sudo disable-chmod-x-bit
        disable-chmod-s-bit
        disable-network disable-inet disable-ipv4 disable-inet6 disable-ipv6 disable-unix-domain-socket disable-icmp
        disable-tcp disable-udp block-access-to-kube-apiserver block-access-to-container-runtime
    """,
    RuleList.VUL_MITIGATION: """
        cgroups-lxcfs-escape-mitigation runc-override-mitigation dirty-pipe-mitigation ingress-nightmare-mitigation
        copy-fail-mitigation
    """,
}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AS_CAPABILITY = re.compile(r"capability( [a-z_]+)*")
AS_PATH = re.compile(r"(/|@\{)\S* [rwlmx]+")


def test_every_rule_of_upstream_is_there() -> None:
    assert [len(words(names)) for names in UPSTREAM.values()] == [63, 34, 5]
    for wanted, names in UPSTREAM.items():
        for name in names.split():
            rule = load().find(name)
            assert rule is not None, name
            assert rule.list is wanted, name


def test_upstream_has_ninety_eight_rules() -> None:
    assert (
        len({rule.name for names in UPSTREAM.values() for name in names.split() if (rule := load().find(name))}) == 98
    )


def test_there_is_a_rule_for_each_capability() -> None:
    for name, capability in zip(SINGLE, capabilities.NAMES, strict=True):
        rule = load().find(name)
        assert rule is not None
        assert rule.bpf is not None
        assert rule.bpf.capabilities == (capability,)
        assert rule.apparmor is not None
        assert rule.apparmor.rules == (f"capability {capability}",)


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("disable-cap-all", frozenset()),
        ("disable-cap-all-except-net-bind-service", words("net_bind_service")),
        (
            "disable-cap-privileged",
            words(
                """chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
                audit_write setfcap"""
            ),
        ),
    ],
)
def test_sets_of_capabilities(name: str, without: frozenset[str]) -> None:
    rule = load().find(name)
    assert rule is not None
    assert rule.bpf is not None
    assert rule.bpf.capabilities == tuple(item for item in capabilities.NAMES if item not in without)
    assert rule.apparmor is not None
    (body,) = rule.apparmor.rules
    assert tuple(body.split()[1:]) == (rule.bpf.capabilities if without else ())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_words(rule: Rule) -> None:
    for text in (rule.summary, rule.attack, rule.breaks):
        assert text.endswith(".")
    for _, text in (*rule.cannot, *rule.limits):
        assert text
        assert not text.endswith(".")
    assert all(re.fullmatch(r"CVE-20\d\d-\d{4,}", cve) for cve in rule.cves)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_enforcer_has_a_form_or_a_reason(rule: Rule) -> None:
    for enforcer in Enforcer:
        assert (enforcer in rule.enforcers) != bool(rule.reason(enforcer))
        assert not rule.limit(enforcer) or enforcer in rule.enforcers


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.bpf], ids=lambda rule: rule.name)
def test_bpf_forms(rule: Rule) -> None:
    form = rule.bpf
    assert form is not None
    patterns = [path.pattern.replace("@{disks}", "{sda,sda1}") for path in form.paths]
    patterns += [text for mount in form.mounts for text in (mount.source, mount.target) if text != "**"]
    assert [canonical(pattern) for pattern in patterns] == patterns
    build([(pattern, 1) for pattern in patterns], 2000)
    assert set(form.switches) <= set(tables.SWITCHES)
    assert set(form.ptrace) <= set(bpf_words.PTRACE)
    for socket in form.sockets:
        assert set(socket.domains) <= set(bpf_words.DOMAINS)
        assert set(socket.types) <= set(bpf_words.TYPES)
        assert set(socket.protocols) <= set(bpf_words.PROTOCOLS)
        assert not (socket.types and socket.protocols)
    for mount in form.mounts:
        assert set(mount.flags) <= {*bpf_words.MOUNT_FLAGS, "umount"}
        assert len(mount.fstype) <= tables.FSTYPE_BYTES


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.seccomp], ids=lambda rule: rule.name)
def test_seccomp_forms(rule: Rule) -> None:
    for form in rule.seccomp:
        assert all(is_known(name) for name in form.names)
        assert 0 < form.errno < 134
        # libseccomp before 2.6 takes one comparison of each argument in a rule
        assert len({arg.index for arg in form.args}) == len(form.args)
        # a value compared with the whole register would be walked around by setting its upper half
        assert all(arg.op == "SCMP_CMP_MASKED_EQ" for arg in form.args)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.apparmor], ids=lambda rule: rule.name)
def test_apparmor_forms(rule: Rule) -> None:
    assert rule.apparmor is not None
    for body in rule.apparmor.rules:
        assert not body.startswith(("deny", "audit", "allow"))
        assert not body.endswith(",")
        if body.startswith("capability"):
            assert AS_CAPABILITY.fullmatch(body)
            assert set(body.split()[1:]) <= set(capabilities.NAMES)
        elif body.startswith("/"):
            assert AS_PATH.fullmatch(body), body


def test_mounts_fit_beside_the_runtime_default() -> None:
    assert sum(len(rule.bpf.mounts) for rule in RULES if rule.bpf) < tables.MAX_MOUNT_RULES

# SPDX-License-Identifier: Apache-2.0
"""Puts a policy with one rule and one enforcer in force for a process, and reads what it recorded."""

from __future__ import annotations

import itertools
import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import seccomp

from tests.kernel.bpf.conftest import Cgroup
from tests.kernel.matrix.plays import Outcome, enter_cgroup, play
from tests.kernel.matrix.scenario import Scenario, Stage, Step
from varmor.catalog.loader import load
from varmor.catalog.types import Rule, RuleList
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.apparmor_parser import AppArmorError
from varmor.kernel.audit import AuditStream
from varmor.kernel.audit_apparmor import apparmor_record
from varmor.kernel.audit_record import TYPE_AVC, TYPE_SECCOMP, AuditRecord, seccomp_record
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.policy.parse import parse_object
from varmor.policy.types import Enforcer
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts, Profile, ServiceEndpoints

_numbers = itertools.count(7000)
_LONGEST_WAIT = 5.0

SERVICES = tuple(
    ServiceEndpoints(namespace, name, ((ip_network(f"{address}/32"), ()),))
    for namespace, name, address in (
        ("default", "kubernetes", "10.96.0.1"),
        ("ingress-nginx", "ingress-nginx-controller-admission", "10.96.0.2"),
        ("kube-system", "ingress-nginx-controller-admission", "10.96.0.3"),
    )
)


def facts(apparmor: AppArmor) -> NodeFacts:
    """What the guest is, as the daemon would find it."""
    major, minor, *_rest = os.uname().release.split(".")
    disks = [line.split()[3] for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    return NodeFacts(
        apparmor_parser=apparmor.parser.version(),
        apparmor_abi=apparmor.parser.abi_files(),
        disk_devices=tuple(disks),
        kernel=(int(major), int(minor)),
        services=SERVICES,
    )


def manifest(rule: Rule, enforcer: Enforcer, name: str, *, observe: bool) -> dict[str, Any]:
    """A policy with one rule, on top of a profile that allows everything."""
    groups: Sequence[object] = [rule.name]
    if rule.list is RuleList.ATTACK_PROTECTION:
        groups = [{"rules": [rule.name]}]
    return {
        "apiVersion": "crd.varmor.org/v1beta1",
        "kind": "VarmorPolicy",
        "metadata": {"name": name},
        "spec": {
            "target": {"kind": "Container", "name": "matrix"},
            "policy": {
                "enforcer": enforcer.names()[0],
                "mode": "EnhanceProtect",
                "enhanceProtect": {
                    rule.list.value: groups,
                    "privileged": True,
                    "auditViolations": True,
                    "allowViolations": observe,
                },
            },
        },
    }


@dataclass(frozen=True, slots=True)
class Performance:
    """How the steps ended under a policy, and the records that were made meanwhile, as text."""

    outcome: Outcome
    denied: tuple[str, ...]
    let_pass: tuple[str, ...]


@dataclass
class Theatre:
    """The enforcers of the guest."""

    apparmor: AppArmor
    bpf: BpfEnforcer
    stream: AuditStream
    facts: NodeFacts
    shared: dict[str, Any]
    loaded: set[str] = field(default_factory=set)

    def compile(self, rule: Rule, enforcer: Enforcer, *, observe: bool) -> Profile:
        """The profile of a policy with this rule and enforcer only."""
        name = f"matrix-{load().rules.index(rule)}-{enforcer.names()[0][0].lower()}{int(observe)}"
        return compile_policy(
            parse_object(manifest(rule, enforcer, name, observe=observe), "matrix"), load(), self.facts
        )

    def perform(
        self, profile: Profile, enforcer: Enforcer, scenario: Scenario, steps: dict[str, Step], directory: Path
    ) -> Performance:
        """Run the steps under the profile. Records are waited for when a step makes one for sure."""
        stage = Stage(directory, self.shared)
        self.stream.read(1 << 20)
        if enforcer is Enforcer.BPF:
            return self._under_bpf(profile, scenario, stage, steps)
        if enforcer is Enforcer.SECCOMP:
            outcome = play(scenario, stage, steps, lambda: load_filter(profile.seccomp or {}), lambda: None)
            return self._audited(outcome, _seccomp_verdict)
        self.load(profile)
        outcome = play(scenario, stage, steps, lambda: _change_profile(profile.name), lambda: None)
        return self._audited(outcome, lambda record: _apparmor_verdict(record, profile.name))

    def load(self, *profiles: Profile) -> None:
        """Load AppArmor profiles that are not loaded yet."""
        for profile in profiles:
            if profile.name not in self.loaded:
                self.apparmor.apply(profile.name, profile.apparmor or "")
                self.loaded.add(profile.name)

    def _under_bpf(self, profile: Profile, scenario: Scenario, stage: Stage, steps: dict[str, Step]) -> Performance:
        assert profile.bpf is not None
        number = next(_numbers)
        cgroup = Cgroup(Path(f"/sys/fs/cgroup/matrix-{number}"))
        cgroup.path.mkdir()
        try:
            self.bpf.apply(profile.name, profile.digest, profile.bpf, observe=profile.observe)
            self.bpf.bind_cgroup(cgroup.id, profile.name, number, host_mounts=True)
            self.bpf.read_events()
            outcome = play(scenario, stage, steps, enter_cgroup(cgroup.path), self.bpf.adopt)
            events = [event for event in self.bpf.read_events() if event.workload == number]
        finally:
            cgroup.kill()
            self.bpf.remove(profile.name)
        return Performance(
            outcome,
            tuple(str(event) for event in events if event.denied),
            tuple(str(event) for event in events if not event.denied),
        )

    def _audited(self, outcome: Outcome, verdict: Callable[[AuditRecord], str]) -> Performance:
        """The audit records: the kernel's thread delivers them a little later, so the first one is waited for."""
        found: dict[str, list[str]] = {"denied": [], "let pass": []}
        deadline = time.monotonic() + _LONGEST_WAIT
        while not any(found.values()) and time.monotonic() < deadline:
            select.select([self.stream.fd()], [], [], 0.5)
            for record in self.stream.read():
                said = verdict(record)
                if said:
                    found[said].append(record.body)
        return Performance(outcome, tuple(found["denied"]), tuple(found["let pass"]))

    def remove(self) -> None:
        """Unload all."""
        for name in self.loaded:
            self.apparmor.remove(name)


def _change_profile(name: str) -> None:
    Path("/proc/thread-self/attr/current").write_text(f"changeprofile {name}")


def _apparmor_verdict(record: AuditRecord, profile: str) -> str:
    if record.type != TYPE_AVC or profile not in record.body:
        return ""
    parsed = apparmor_record(record)
    if parsed is None or profile not in parsed.profile_names:
        return ""
    return {"DENIED": "denied", "AUDIT": "let pass"}.get(parsed.verdict, "")


def _seccomp_verdict(record: AuditRecord) -> str:
    if record.type != TYPE_SECCOMP:
        return ""
    return {"errno": "denied", "log": "let pass"}.get(seccomp_record(record).action, "")


def load_filter(oci: dict[str, Any]) -> None:
    """Install an OCI filter by libseccomp, as a container runtime does, without taking other rights away."""
    default = (oci["defaultAction"], oci.get("defaultErrnoRet"))
    made = seccomp.SyscallFilter(_action(*default))
    for name in oci.get("architectures", ()):
        architecture = seccomp.Arch(getattr(seccomp.Arch, name.removeprefix("SCMP_ARCH_")))
        if not made.exist_arch(architecture):
            made.add_arch(architecture)
    made.set_attr(seccomp.Attr.CTL_NNP, 0)
    if "SECCOMP_FILTER_FLAG_LOG" in oci.get("flags", ()):
        made.set_attr(seccomp.Attr.CTL_LOG, 1)
    for entry in oci["syscalls"]:
        if entry["action"] == default[0] and entry["action"] != "SCMP_ACT_ERRNO":
            continue
        conditions = [
            seccomp.Arg(
                condition["index"],
                getattr(seccomp, condition["op"].removeprefix("SCMP_CMP_")),
                condition["value"],
                condition.get("valueTwo") or 0,
            )
            for condition in entry.get("args") or ()
        ]
        for name in entry["names"]:
            if seccomp.resolve_syscall(seccomp.Arch(), name) != -1:
                made.add_rule(_action(entry["action"], entry.get("errnoRet")), name, *conditions)
    made.load()


def _action(name: str, number: int | None) -> Any:
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(1 if number is None else number)
    return getattr(seccomp, name.removeprefix("SCMP_ACT_"))


__all__ = ["AppArmorError", "Performance", "Theatre", "facts", "load_filter", "manifest"]

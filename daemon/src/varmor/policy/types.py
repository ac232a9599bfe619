# SPDX-License-Identifier: Apache-2.0
"""The policy objects as values: what a person writes, parsed and defaulted.

Field names follow ``crd.varmor.org/v1beta1`` in snake case. All values are immutable and compare by content, so
that equal manifests give
equal policies whatever their layout.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from varmor.errors import Location, PolicyError

API_VERSION = "crd.varmor.org/v1beta1"


class PolicyKind(enum.StrEnum):
    """The two kinds of policy object."""

    VARMOR_POLICY = "VarmorPolicy"
    VARMOR_CLUSTER_POLICY = "VarmorClusterPolicy"


class Enforcer(enum.Flag):
    """The enforcers that a policy asks for; any combination."""

    APPARMOR = enum.auto()
    BPF = enum.auto()
    SECCOMP = enum.auto()

    def names(self) -> tuple[str, ...]:
        """The spellings used in manifests, in a fixed order."""
        spelled = {Enforcer.APPARMOR: "AppArmor", Enforcer.BPF: "BPF", Enforcer.SECCOMP: "Seccomp"}
        return tuple(name for member, name in spelled.items() if member in self)


class Mode(enum.StrEnum):
    """What a policy does with its targets."""

    ALWAYS_ALLOW = "AlwaysAllow"
    RUNTIME_DEFAULT = "RuntimeDefault"
    ENHANCE_PROTECT = "EnhanceProtect"
    BEHAVIOR_MODELING = "BehaviorModeling"
    DEFENSE_IN_DEPTH = "DefenseInDepth"


class TargetKind(enum.StrEnum):
    """What a policy applies to. ``CONTAINER`` and ``UNIT`` are the node's own; the others need the controller."""

    CONTAINER = "Container"
    UNIT = "Unit"
    POD = "Pod"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"

    @property
    def local(self) -> bool:
        """Whether a node can resolve this target by itself."""
        return self in (TargetKind.CONTAINER, TargetKind.UNIT)


class SelectorOperator(enum.StrEnum):
    """Operators of a label selector requirement."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class SelectorRequirement:
    """One ``matchExpressions`` entry."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A Kubernetes label selector: all labels and all expressions must match."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[SelectorRequirement, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a policy applies to.

    For ``Container``: ``name`` and ``image`` are globs (``*`` and ``?``), every one that is given must match.
    For ``Unit``: ``name`` is the full
    unit name. For the Kubernetes kinds: ``name`` or ``selector``.
    """

    kind: TargetKind
    name: str = ""
    image: str = ""
    selector: LabelSelector | None = None
    containers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Built-in attack protection rules, optionally for some executables only (``targets``, full paths)."""

    rules: tuple[str, ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppArmorRawRule:
    """AppArmor text that is put into the profile, optionally for some executables only."""

    rules: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BpfPathRule:
    """A ``files[]`` or ``processes[]`` entry, words as written (already lower-cased)."""

    qualifiers: tuple[str, ...]
    pattern: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """A port, or a range of ports when ``end_port`` is given; both ends belong to it."""

    port: int
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """A ``network.egress.toDestinations[]`` entry."""

    qualifiers: tuple[str, ...]
    ip: str = ""
    cidr: str = ""
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDestination:
    """A ``network.egress.toServices[]`` entry: a service by name, or services by labels. It needs a cluster."""

    qualifiers: tuple[str, ...]
    namespace: str = ""
    name: str = ""
    selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class PodDestination:
    """A ``network.egress.toPods[]`` entry. An empty ``namespace`` means all of them. It needs a cluster."""

    qualifiers: tuple[str, ...]
    selector: LabelSelector
    namespace: str = ""
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class BpfSocketRule:
    """A ``network.sockets[]`` entry, words as written (already lower-cased)."""

    qualifiers: tuple[str, ...]
    domains: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BpfPtraceRule:
    """``bpfRawRules.ptrace``. With ``strict_mode`` it is about every process, else about those of other workloads."""

    qualifiers: tuple[str, ...]
    permissions: tuple[str, ...]
    strict_mode: bool = False


@dataclass(frozen=True, slots=True)
class BpfMountRule:
    """A ``mounts[]`` entry, words as written (already lower-cased)."""

    qualifiers: tuple[str, ...]
    source_pattern: str
    fstype: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BpfRawRules:
    """``bpfRawRules``."""

    files: tuple[BpfPathRule, ...] = ()
    processes: tuple[BpfPathRule, ...] = ()
    egress: tuple[Destination, ...] = ()
    services: tuple[ServiceDestination, ...] = ()
    pods: tuple[PodDestination, ...] = ()
    sockets: tuple[BpfSocketRule, ...] = ()
    ptrace: BpfPtraceRule | None = None
    mounts: tuple[BpfMountRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SyscallArg:
    """A condition on one argument of a syscall, as in the OCI runtime specification."""

    index: int
    value: int
    op: str
    value_two: int = 0


@dataclass(frozen=True, slots=True)
class SyscallRule:
    """A ``syscallRawRules[]`` entry: an OCI ``LinuxSyscall``."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SyscallArg, ...] = ()


@dataclass(frozen=True, slots=True)
class EnhanceProtect:
    """``policy.enhanceProtect``."""

    hardening_rules: tuple[str, ...] = ()
    attack_protection_rules: tuple[RuleGroup, ...] = ()
    vul_mitigation_rules: tuple[str, ...] = ()
    apparmor_raw_rules: tuple[AppArmorRawRule, ...] = ()
    bpf_raw_rules: BpfRawRules = BpfRawRules()
    syscall_raw_rules: tuple[SyscallRule, ...] = ()
    privileged: bool = False
    audit_violations: bool = False
    allow_violations: bool = False


class ProfileType(enum.StrEnum):
    """Where a DefenseInDepth profile comes from: a behaviour model, or the policy's own text."""

    BEHAVIOR_MODEL = "BehaviorModel"
    CUSTOM = "Custom"


@dataclass(frozen=True, slots=True)
class AppArmorDefense:
    """``defenseInDepth.appArmor``. ``custom_profile`` is a whole AppArmor profile."""

    profile_type: ProfileType
    custom_profile: str = ""
    raw_rules: tuple[AppArmorRawRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SeccompDefense:
    """``defenseInDepth.seccomp``. ``custom_profile`` is the JSON of an OCI or moby seccomp profile."""

    profile_type: ProfileType
    custom_profile: str = ""
    raw_rules: tuple[SyscallRule, ...] = ()


@dataclass(frozen=True, slots=True)
class BpfAllowList:
    """``defenseInDepth.bpf.customProfile`` (not in upstream): what the workload may do; the rest is refused.

    The entries are those of ``bpfRawRules`` with empty ``qualifiers``; ``capabilities`` are names without ``CAP_`` in
    lower case, ``operations`` the names of switches such as ``userns_create``.
    """

    files: tuple[BpfPathRule, ...] = ()
    processes: tuple[BpfPathRule, ...] = ()
    egress: tuple[Destination, ...] = ()
    sockets: tuple[BpfSocketRule, ...] = ()
    ptrace: BpfPtraceRule | None = None
    mounts: tuple[BpfMountRule, ...] = ()
    capabilities: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BpfDefense:
    """``defenseInDepth.bpf`` (not in upstream). ``raw_rules`` refuse in addition to what the list leaves out."""

    profile_type: ProfileType
    custom_profile: BpfAllowList = BpfAllowList()
    raw_rules: BpfRawRules = BpfRawRules()


@dataclass(frozen=True, slots=True)
class DefenseInDepth:
    """``policy.defenseInDepth``."""

    apparmor: AppArmorDefense | None = None
    seccomp: SeccompDefense | None = None
    bpf: BpfDefense | None = None
    allow_violations: bool = False


@dataclass(frozen=True, slots=True)
class ModelingOptions:
    """``policy.modelingOptions``. ``duration`` is in minutes."""

    duration: int


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """Identity of a policy object. ``namespace`` is empty for a ``VarmorClusterPolicy``."""

    kind: PolicyKind
    namespace: str
    name: str

    def __str__(self) -> str:
        scope = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.value} {scope}{self.name}"


@dataclass(frozen=True, slots=True)
class Policy:
    """A ``VarmorPolicy`` or ``VarmorClusterPolicy``.

    ``manifest`` is the object as written (plain JSON values), kept for display and storage; ``positions`` says
    where each field stands in the source. Neither takes part in comparisons.
    """

    key: PolicyKey
    target: Target
    enforcers: Enforcer
    mode: Mode
    enhance_protect: EnhanceProtect | None = None
    defense_in_depth: DefenseInDepth | None = None
    modeling_options: ModelingOptions | None = None
    update_existing_workloads: bool = False
    manifest: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)
    where: Location = field(default=Location(), compare=False)
    positions: Mapping[str, Location] = field(default_factory=dict, compare=False, hash=False, repr=False)

    def locate(self, path: str) -> Location:
        """Where the field ``path`` stands (``spec.policy.enforcer``), or the nearest field around it."""
        while path:
            if path in self.positions:
                return self.positions[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.where

    def error(self, path: str, problem: str) -> PolicyError:
        """An error about the field ``path`` of this policy, ready to be raised."""
        return PolicyError(problem, where=self.locate(path), subject=str(self.key), field=path)

# SPDX-License-Identifier: Apache-2.0
"""The fields of VarmorPolicy and VarmorClusterPolicy."""

from __future__ import annotations

from varmor.policy import schema_bpf
from varmor.policy.network_proxy import NOT_BUILT
from varmor.policy.parse import MAX_MODELING_MINUTES
from varmor.policy.parse_defense_in_depth import MAX_CUSTOM_PROFILE
from varmor.policy.parse_raw_rules import MAX_APPARMOR_TEXT
from varmor.policy.record import INT64
from varmor.policy.schema import Rule, Schema, array, closed, flag, integer, mapping, may, need, string
from varmor.policy.types import Mode, ProfileType, TargetKind

_ENFORCER = "(apparmor|bpf|seccomp|networkproxy)"
_SEPARATOR = "[ ,+|]*"
_ACTIONS = (
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE", "SCMP_ACT_LOG", "SCMP_ACT_ALLOW",
)  # fmt: skip
_COMPARISONS = (
    "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
)  # fmt: skip


def spec() -> Schema:
    """``spec`` of both kinds."""
    return mapping(
        "What is protected, and how.",
        need("target", _immutable(target())),
        need("policy", _policy()),
        may(
            "updateExistingWorkloads",
            flag("Roll out workloads that run already, when the policy is made and when it is deleted."),
        ),
    )


def target() -> Schema:
    """``spec.target``."""
    return mapping(
        "What the policy applies to.",
        need(
            "kind",
            string(
                "What is chosen: containers or units of a node, or workloads of a cluster.", enum=_values(TargetKind)
            ),
        ),
        may(
            "name",
            string(
                "The name; for `Container` with `*` and `?`, for `Unit` a full name such as `nginx.service`.", most=512
            ),
        ),
        may("image", string("For `Container`: the image, with `*` and `?`.", most=512)),
        may("selector", schema_bpf.label_selector("Labels of what is chosen.")),
        may(
            "containers",
            array("For workloads of a cluster: names of containers; none means all.", string("", most=253)),
        ),
        rules=(
            Rule(
                "self.kind != 'Unit' || (has(self.name) && !has(self.image) && !has(self.selector)"
                " && !has(self.containers))",
                "a target of kind Unit is chosen by its name alone",
            ),
            Rule(
                "self.kind != 'Container' || has(self.name) || has(self.image) || has(self.selector)",
                "a target of kind Container needs at least one of name, image and selector",
            ),
            Rule(
                "self.kind != 'Container' || !has(self.containers)",
                "a target of kind Container names containers by 'name': use that field",
            ),
            Rule(
                "self.kind in ['Unit', 'Container'] || has(self.name) != has(self.selector)",
                "a target of this kind needs either name or selector",
            ),
            Rule(
                "self.kind == 'Container' || !has(self.image)",
                "a target of this kind is not chosen by image: use kind Container",
            ),
            Rule(
                "!has(self.selector) || has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0"
                " || has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0",
                "an empty selector would match everything",
            ),
        ),
    )


def _immutable(schema: Schema) -> Schema:
    rule = Rule("self == oldSelf", "the target of a policy cannot be changed: delete the policy and make a new one")
    return mapping(schema.description, *schema.fields, rules=(*schema.rules, rule))


def _values(kind: type[Mode | TargetKind | ProfileType]) -> tuple[str, ...]:
    return tuple(member.value for member in kind)


def _policy() -> Schema:
    proxy, no_proxy = closed("networkProxyConfig", NOT_BUILT)
    return mapping(
        "How it is protected.",
        need(
            "enforcer",
            string("`AppArmor`, `BPF` and `Seccomp` in any combination, such as `AppArmorBPF`, in any case.", most=200),
        ),
        need("mode", string("What the policy does.", enum=_values(Mode))),
        may("enhanceProtect", _enhance_protect()),
        may(
            "modelingOptions",
            mapping(
                "For the mode BehaviorModeling.",
                need("duration", integer("For how many minutes behaviour is modelled.", 1, MAX_MODELING_MINUTES)),
            ),
        ),
        may("defenseInDepth", _defense_in_depth()),
        proxy,
        rules=(no_proxy, *_enforcer_rules(), *_part_rules(), *_update_rules()),
    )


def _enforcer_rules() -> tuple[Rule, ...]:
    return (
        Rule(
            f"self.enforcer.lowerAscii().matches('^{_SEPARATOR}({_ENFORCER}{_SEPARATOR})+$')",
            "enforcer: expected AppArmor, BPF and Seccomp in any combination, such as AppArmorBPF",
        ),
        Rule("!self.enforcer.lowerAscii().contains('networkproxy')", f"enforcer: {NOT_BUILT}"),
    )


def _part_rules() -> tuple[Rule, ...]:
    parts = {
        Mode.ENHANCE_PROTECT: "enhanceProtect",
        Mode.BEHAVIOR_MODELING: "modelingOptions",
        Mode.DEFENSE_IN_DEPTH: "defenseInDepth",
    }
    needed = tuple(
        Rule(f"self.mode != '{mode}' || has(self.{part})", f"the mode {mode} needs the field '{part}'")
        for mode, part in parts.items()
    )
    profiles = tuple(
        Rule(
            f"self.mode != 'DefenseInDepth' || !has(self.defenseInDepth) || has(self.defenseInDepth.{part})"
            f" || !self.enforcer.lowerAscii().contains('{part.lower()}')",
            f"defenseInDepth: the field '{part}' is missing: the policy's enforcer {enforcer} has no profile",
        )
        for part, enforcer in (("appArmor", "AppArmor"), ("seccomp", "Seccomp"), ("bpf", "BPF"))
    )
    return (*needed, *profiles)


def _update_rules() -> tuple[Rule, ...]:
    def has(which: str, enforcer: str) -> str:
        return f"{which}.enforcer.lowerAscii().contains({enforcer})"

    return (
        Rule(
            f"['apparmor', 'seccomp'].all(e, !{has('oldSelf', 'e')} || {has('self', 'e')})",
            "enforcer: AppArmor and Seccomp cannot be removed from a policy in force; use the mode AlwaysAllow",
        ),
        Rule(
            f"!{has('oldSelf', repr('bpf'))} || {has('self', repr('bpf'))}"
            f" || ['apparmor', 'seccomp'].all(e, {has('oldSelf', 'e')} || !{has('self', 'e')})",
            "enforcer: BPF cannot be removed in the same update that adds another: make two updates",
        ),
    )


def _enhance_protect() -> Schema:
    proxy, no_proxy = closed("networkProxyRawRules", NOT_BUILT)
    names = string("", most=4096)
    group = mapping("", need("rules", array("Names of built-in rules.", names, least=1)), may("targets", _targets()))
    return mapping(
        "For the mode EnhanceProtect: built-in rules by name, and rules of your own.",
        may("hardeningRules", array("Built-in rules that make a workload's sandbox smaller.", names)),
        may("attackProtectionRules", array("Built-in rules against single attacks.", group)),
        may("vulMitigationRules", array("Built-in rules against single vulnerabilities.", names)),
        may("appArmorRawRules", _apparmor_rules()),
        may("bpfRawRules", schema_bpf.raw_rules()),
        may("syscallRawRules", _syscall_rules()),
        may("privileged", flag("Leave the runtime's default rules out: for privileged containers.")),
        may("auditViolations", flag("Record what is refused.")),
        may("allowViolations", flag("Let what the built-in rules would refuse pass.")),
        proxy,
        rules=(no_proxy,),
    )


def _targets() -> Schema:
    program = string("", pattern="^/")
    return array("Full paths of programs: the rules hold for these alone; none means for the whole workload.", program)


def _apparmor_rules() -> Schema:
    entry = mapping(
        "",
        need("rules", string("AppArmor rules, each ended by a comma.", most=MAX_APPARMOR_TEXT)),
        may("targets", _targets()),
        shared="appArmorRawRules",
    )
    return array("Rules of your own for AppArmor.", entry)


def _syscall_rules() -> Schema:
    argument = mapping(
        "",
        need("index", integer("Which argument, from 0.", 0, 5)),
        need("value", integer("The value that it is compared with; for SCMP_CMP_MASKED_EQ the mask.", 0, INT64)),
        may("valueTwo", integer("For SCMP_CMP_MASKED_EQ: what the masked argument must be.", 0, INT64)),
        need("op", string("The comparison.", enum=_COMPARISONS)),
    )
    entry = mapping(
        "",
        need("names", array("System calls.", string("", most=4096), least=1)),
        need("action", string("What happens.", enum=_ACTIONS)),
        may("errnoRet", integer("The error of SCMP_ACT_ERRNO.", 0, 4095)),
        may("args", array("Conditions on arguments; two on one argument are alternatives.", argument)),
        shared="syscallRawRules",
    )
    return array("Rules of your own for seccomp, as in the OCI runtime specification.", entry)


def _defense_in_depth() -> Schema:
    proxy, no_proxy = closed("networkProxy", NOT_BUILT)
    text = MAX_CUSTOM_PROFILE
    return mapping(
        "For the mode DefenseInDepth: one profile for each enforcer.",
        may(
            "appArmor",
            _defense(
                "The AppArmor profile.",
                string("A whole AppArmor profile.", most=text),
                ("appArmorRawRules", _apparmor_rules()),
            ),
        ),
        may(
            "seccomp",
            _defense(
                "The seccomp profile.",
                string("A seccomp profile: OCI or moby JSON as text.", most=text),
                ("syscallRawRules", _syscall_rules()),
            ),
        ),
        may(
            "bpf",
            _defense("The BPF profile.", schema_bpf.allow_list(), ("bpfRawRules", schema_bpf.raw_rules())),
        ),
        may("allowViolations", flag("Let violations of the profiles pass, and record them.")),
        proxy,
        rules=(no_proxy,),
    )


def _defense(description: str, custom: Schema, raw: tuple[str, Schema]) -> Schema:
    return mapping(
        description,
        need(
            "profileType",
            string(
                "`BehaviorModel`: from the ArmorProfileModel. `Custom`: from `customProfile`.",
                enum=_values(ProfileType),
            ),
        ),
        may("customProfile", custom),
        may(*raw),
        rules=(
            Rule(
                "self.profileType != 'Custom' || has(self.customProfile)",
                "profileType Custom needs the field 'customProfile'",
            ),
        ),
    )

# SPDX-License-Identifier: Apache-2.0
"""The four custom resource definitions, for a Kubernetes API server of 1.25 or later (CEL rules)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varmor.policy import schema_policy, schema_records
from varmor.policy.armor_profile import ArmorProfileSpec
from varmor.policy.armor_profile_model import StorageType
from varmor.policy.model_data import ModelData
from varmor.policy.parse import MAX_PROFILE_NAME, profile_name
from varmor.policy.schema import Rule, Schema, mapping, may, need, string
from varmor.policy.status import ArmorProfileModelStatus, ArmorProfileStatus, PolicyStatus
from varmor.policy.types import API_VERSION, PolicyKey, PolicyKind

GROUP, VERSION = API_VERSION.split("/")

_AGE = ("AGE", "date", ".metadata.creationTimestamp")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object: its names, its columns in tables, its schema. ``scope`` is Namespaced or Cluster."""

    kind: str
    plural: str
    scope: str
    columns: tuple[tuple[str, str, str], ...]
    schema: Schema
    short_names: tuple[str, ...] = ()

    def definition(self) -> dict[str, Any]:
        """The CustomResourceDefinition object."""
        names: dict[str, Any] = {
            "kind": self.kind,
            "listKind": f"{self.kind}List",
            "plural": self.plural,
            "singular": self.kind.lower(),
        }
        if self.short_names:
            names["shortNames"] = list(self.short_names)
        version = {
            "name": VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [
                {"name": name, "type": kind, "jsonPath": path} for name, kind, path in self.columns
            ],
            "schema": {"openAPIV3Schema": self.schema.openapi()},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {"group": GROUP, "names": names, "scope": self.scope, "versions": [version]},
        }


def resources() -> tuple[Resource, ...]:
    """The four kinds."""
    return (
        _policy(PolicyKind.VARMOR_POLICY, "varmorpolicies", "Namespaced", "vpol"),
        _policy(PolicyKind.VARMOR_CLUSTER_POLICY, "varmorclusterpolicies", "Cluster", "vcpol"),
        Resource(
            "ArmorProfile",
            "armorprofiles",
            "Namespaced",
            (
                ("PROFILE", "string", ".spec.profile.name"),
                ("ENFORCER", "string", ".spec.profile.enforcer"),
                ("MODE", "string", ".spec.profile.mode"),
                ("DESIRED", "integer", ".status.desiredNumberLoaded"),
                ("CURRENT", "integer", ".status.currentNumberLoaded"),
                _AGE,
            ),
            _object(
                "What a policy becomes in a cluster. It is made by programs, not by hand.",
                need("spec", schema_records.schema(ArmorProfileSpec, "What the nodes are to do.")),
                may("status", schema_records.schema(ArmorProfileStatus, "On how many nodes the profile is loaded.")),
            ),
        ),
        Resource(
            "ArmorProfileModel",
            "armorprofilemodels",
            "Namespaced",
            (
                ("STORAGE-TYPE", "string", ".storageType"),
                ("DESIRED", "integer", ".status.desiredNumber"),
                ("COMPLETED", "integer", ".status.completedNumber"),
                ("READY", "boolean", ".status.ready"),
                _AGE,
            ),
            _object(
                "A behaviour model, from which the mode DefenseInDepth takes its profiles.",
                may("storageType", string("Where the data are.", enum=tuple(each.value for each in StorageType))),
                may("data", schema_records.schema(ModelData, "What was seen, and the profile that was made from it.")),
                may("status", schema_records.schema(ArmorProfileModelStatus, "How many nodes have handed in theirs.")),
            ),
        ),
    )


def definitions() -> list[dict[str, Any]]:
    """The four CustomResourceDefinition objects."""
    return [resource.definition() for resource in resources()]


def _object(description: str, *fields: Any, rules: tuple[Rule, ...] = ()) -> Schema:
    described = {
        "apiVersion": "The version of this API.",
        "kind": "The kind of object.",
    }
    common = (may(name, Schema("string", text)) for name, text in described.items())
    return mapping(description, *common, may("metadata", Schema("object")), *fields, rules=rules)


def _policy(kind: PolicyKind, plural: str, scope: str, short: str) -> Resource:
    columns = (
        ("ENFORCER", "string", ".spec.policy.enforcer"),
        ("MODE", "string", ".spec.policy.mode"),
        ("TARGET-KIND", "string", ".spec.target.kind"),
        ("TARGET-NAME", "string", ".spec.target.name"),
        ("TARGET-SELECTOR", "string", ".spec.target.selector"),
        ("PROFILE-NAME", "string", ".status.profileName"),
        ("READY", "boolean", ".status.ready"),
        ("STATUS", "string", ".status.phase"),
        _AGE,
    )
    schema = _object(
        "Says what a workload may not do.",
        need("spec", schema_policy.spec()),
        may("status", schema_records.schema(PolicyStatus, "Where the policy stands.")),
        rules=(_name_rule(kind), *_modeling_rules()),
    )
    return Resource(kind.value, plural, scope, columns, schema, (short,))


def _name_rule(kind: PolicyKind) -> Rule:
    """The bound on a name; of the namespace, which rules cannot see, the shortest is assumed."""
    shortest = PolicyKey(kind, "n" if kind is PolicyKind.VARMOR_POLICY else "", "")
    most = MAX_PROFILE_NAME - len(profile_name(shortest))
    return Rule(
        f"size(self.metadata.name) <= {most}",
        f"the name is too long: the profile's name would have more than {MAX_PROFILE_NAME} characters",
    )


def _modeling_rules() -> tuple[Rule, ...]:
    modeling = "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase == 'Modeling'"
    chosen = "spec.policy.enforcer.lowerAscii().contains(e)"
    kept = {
        "mode": "self.spec.policy.mode == oldSelf.spec.policy.mode",
        "enforcer": f"['apparmor', 'bpf', 'seccomp'].all(e, self.{chosen} == oldSelf.{chosen})",
    }
    return tuple(
        Rule(
            f"!({modeling}) || {same}",
            f"the {field} cannot be changed while behaviour is modelled: wait until it is complete",
        )
        for field, same in kept.items()
    )

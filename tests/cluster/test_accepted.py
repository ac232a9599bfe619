# SPDX-License-Identifier: Apache-2.0
"""A real API server accepts what the parser accepts, and gives back what means the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.policies import Policies
from tests.unit.manifests import manifest
from tests.unit.policy import test_armor_profile, test_armor_profile_model, test_schema
from varmor.policy.armor_profile import parse_armor_profile
from varmor.policy.armor_profile_model import parse_model
from varmor.policy.parse import parse_object
from varmor.policy.schema import Schema

_ROOT = Path(__file__).parents[2]
_GROUP = "crd.varmor.org/v1beta1"


def _texts() -> list[tuple[str, str]]:
    """All YAML of examples and documents: where it stands, and its text."""
    found = [(path.name, path.read_text()) for path in sorted((_ROOT / "examples").glob("*.y*ml"))]
    for page in sorted((_ROOT / "docs").rglob("*.md")):
        blocks = re.findall(r"^ *```yaml\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE)
        found += [(f"{page.relative_to(_ROOT)}-{number}", text) for number, text in enumerate(blocks)]
    return found


EXAMPLES = [
    pytest.param(document, id=f"{name}-{document['metadata']['name']}")
    for name, text in _texts()
    for document in yaml.safe_load_all(text)
    if isinstance(document, dict) and document.get("apiVersion") == _GROUP
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("document", EXAMPLES)
def test_examples(document: dict[str, Any], policies: Policies) -> None:
    reply = policies.create(document)
    assert reply.accepted, reply.message
    policies.delete(document)


def test_each_field_that_the_parser_accepts(policies: Policies) -> None:
    refused = []
    for path, schema in test_schema.KNOWN:
        document = test_schema.manifest((*path, "[]") if schema.type == "array" else path)
        reply = policies.create(document, dry=True)
        if not reply.accepted:
            refused.append(reply.message)
    assert refused == []


@pytest.mark.parametrize(("path", "schema"), test_schema.INTEGERS, ids=test_schema.ids)
def test_numbers(path: tuple[str, ...], schema: Schema, policies: Policies) -> None:
    assert schema.least is not None
    assert schema.most is not None
    for number in (schema.least, schema.most):
        reply = policies.create(test_schema.manifest(path, number), dry=True)
        assert reply.accepted, reply.message
    for number in (schema.least - 1, schema.most + 1):
        assert not policies.create(test_schema.manifest(path, number), dry=True).accepted


def test_a_policy_comes_back_as_it_was(policies: Policies) -> None:
    document = manifest(
        attackProtectionRules=[{"rules": ["disable-shell"], "targets": ["/bin/x"]}],
        bpfRawRules={"ptrace": {"qualifiers": ["deny"], "permissions": ["read"]}},
        syscallRawRules=[
            {
                "names": ["x"],
                "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": (1 << 63) - 1, "op": "SCMP_CMP_EQ"}],
            }
        ],
    )
    document["metadata"]["namespace"] = policies.namespace
    assert policies.create(document).accepted
    stored = policies.get(document)
    assert parse_object(stored, "server") == parse_object(document, "here")
    assert stored["spec"]["policy"]["enhanceProtect"]["privileged"] is False  # a default


def test_a_status_is_written_apart(policies: Policies) -> None:
    document = manifest()
    status = {"profileName": "varmor-x-web", "ready": True, "phase": "Protecting", "conditions": []}
    assert policies.create({**document, "status": status}).accepted
    assert "status" not in policies.get(document)
    condition = {
        "type": "Effective",
        "status": "False",
        "lastTransitionTime": "2026-01-31T12:00:00Z",
        "reason": "NoEffect",
        "message": "x",
    }
    assert policies.replace({**document, "status": {**status, "conditions": [condition]}}, part="status").accepted
    assert policies.get(document)["status"]["conditions"] == [condition]
    wrong = policies.replace({**document, "status": {**status, "phase": "protecting"}}, part="status")
    assert 'Unsupported value: "protecting"' in wrong.message


def test_profiles_and_models(policies: Policies) -> None:
    pattern = {"flags": 4, "prefix": "/x"}
    profile = test_armor_profile.document(
        profile={
            "name": "x",
            "enforcer": "BPF",
            "mode": "enforce",
            "bpf": {
                "mounts": [
                    {"mode": 1, "mountFlags": 512, "reverseMountflags": 4294967295, "pattern": pattern, "fstype": "*"}
                ]
            },
            "bpfAllowList": {"files": [{"pattern": "/x", "permissions": ["read"]}]},
        }
    )
    model = test_armor_profile_model.document(
        dynamicResult={"bpf": {"files": [{"path": "/x", "permissions": ["r"]}]}, "seccomp": {"syscalls": ["read"]}}
    )
    for document, parse in ((profile, parse_armor_profile), (model, parse_model)):
        document["metadata"] = {"name": document["metadata"]["name"], "namespace": policies.namespace}
        reply = policies.create(document)
        assert reply.accepted, reply.message
        assert parse(policies.get(document), "server") == parse(document, "here")


def test_columns(policies: Policies) -> None:
    document = manifest(target={"kind": "Pod", "selector": {"matchLabels": {"app": "web"}}}, enforcer="AppArmorBPF")
    assert policies.create(document).accepted
    status = {"profileName": "varmor-x-web", "ready": True, "phase": "Protecting"}
    assert policies.replace({**document, "status": status}, part="status").accepted
    headings, (cells,) = policies.table("VarmorPolicy")
    assert headings == [
        "Name", "ENFORCER", "MODE", "TARGET-KIND", "TARGET-NAME", "TARGET-SELECTOR", "PROFILE-NAME", "READY", "STATUS",
        "AGE",
    ]  # fmt: skip
    assert cells[:5] == ["web", "AppArmorBPF", "EnhanceProtect", "Pod", None]
    assert "app" in str(cells[5])
    assert cells[6:9] == ["varmor-x-web", True, "Protecting"]
    assert policies.table("ArmorProfile")[0] == ["Name", "PROFILE", "ENFORCER", "MODE", "DESIRED", "CURRENT", "AGE"]
    assert policies.table("ArmorProfileModel")[0] == ["Name", "STORAGE-TYPE", "DESIRED", "COMPLETED", "READY", "AGE"]

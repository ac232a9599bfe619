# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.test_record import records
from varmor.errors import PolicyError
from varmor.policy.armor_profile_model import ArmorProfileModel, StorageType, parse_model
from varmor.policy.model_data import FileUse, ModelData
from varmor.policy.status import ArmorProfileModelStatus
from varmor.policy.types import BpfAllowList, BpfPathRule


def document(**data: Any) -> dict[str, Any]:
    return {
        "apiVersion": "crd.varmor.org/v1beta1",
        "kind": "ArmorProfileModel",
        "metadata": {"name": "varmor-demo-web", "namespace": "demo"},
        "storageType": "CRDInternal",
        "data": data,
    }


def test_a_model() -> None:
    made = parse_model(
        document(
            dynamicResult={
                "appArmor": {
                    "profiles": ["varmor-demo-web"],
                    "executions": ["/bin/sh"],
                    "files": [{"path": "/x", "owner": True, "permissions": ["r"], "oldPath": "/y"}],
                    "capabilities": ["chown"],
                    "networks": {
                        "sockets": [{"domain": "inet", "type": "stream", "protocol": "tcp"}],
                        "egresses": [{"ip": "1.2.3.4", "ports": [443]}],
                    },
                    "ptraces": [{"peer": "x", "permissions": ["read"], "external": True}],
                    "signals": [{"peer": "x", "permissions": ["send"], "signals": ["term"]}],
                    "unhandled": ["?"],
                },
                "bpf": {"mounts": [{"path": "/x", "type": "proc", "flags": ["bind"]}]},
                "seccomp": {"syscalls": ["openat"]},
            },
            staticResult={},
            profile={
                "name": "varmor-demo-web",
                "enforcer": "BPF",
                "mode": "enforce",
                "bpfAllowList": {"files": [{"pattern": "/x", "permissions": ["read"]}]},
            },
        ),
        "x",
    )
    assert (made.namespace, made.name, str(made)) == (
        "demo",
        "varmor-demo-web",
        "ArmorProfileModel demo/varmor-demo-web",
    )
    assert made.data.profile is not None
    assert made.data.profile.bpf_allow_list == BpfAllowList(files=(BpfPathRule((), "/x", ("read",)),))
    seen = made.data.dynamic_result
    assert seen.apparmor is not None
    assert seen.apparmor.files == (FileUse(path="/x", permissions=("r",), owner=True, old_path="/y"),)
    assert parse_model(made.manifest(), "y") == made


@given(
    data=records(ModelData), status=st.none() | records(ArmorProfileModelStatus), storage=st.sampled_from(StorageType)
)
def test_what_is_written_is_read_again(
    data: ModelData, status: ArmorProfileModelStatus | None, storage: StorageType
) -> None:
    model = ArmorProfileModel(namespace="a", name="b", storage_type=storage, data=data, status=status)
    assert parse_model(model.manifest(), "x") == model


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"storageType": "PV/PVC"}, "unknown value 'PV/PVC'; expected one of CRDInternal, LocalDisk"),
        ({"data": []}, "data: expected a mapping, found a list"),
        ({"data": {"dynamicResults": {}}}, "did you mean 'dynamicResult'?"),
        ({"data": {"profile": {"name": "x"}}}, "data.profile: the field 'enforcer' is missing"),
        ({"spec": {}}, "unknown field 'spec'"),
        ({"kind": "ArmorProfil"}, "expected ArmorProfileModel"),
    ],
)
def test_bad_model(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_model({**document(), **changes}, "x")
    assert words in str(caught.value)

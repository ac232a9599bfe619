# SPDX-License-Identifier: Apache-2.0
"""Right manifests with something changed in them: accepted or refused by one clear error, never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.manifests import manifest
from varmor.advice.difference import difference
from varmor.catalog.loader import load
from varmor.errors import PolicyError, VarmorError
from varmor.policy.parse import parse_object
from varmor.profile import tables
from varmor.profile.codec import decode, encode
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts

_RULES: dict[str, Any] = {
    "hardeningRules": ["disallow-mount", "DISALLOW_CREATE_USER_NS", "disable-cap-privileged"],
    "attackProtectionRules": [
        {"rules": ["disable-write-etc", "mitigate-sa-leak"]},
        {"rules": ["disable-shell"], "targets": ["/usr/bin/nginx", "/bin/busybox"]},
    ],
    "vulMitigationRules": ["dirty-pipe-mitigation"],
    "appArmorRawRules": [{"rules": "deny /srv/** w,\n", "targets": ["/bin/sh"]}, {"rules": "audit deny /x r,"}],
    "syscallRawRules": [
        {"names": ["fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
         "args": [{"index": 2, "value": 64, "valueTwo": 64, "op": "SCMP_CMP_MASKED_EQ"}]},
    ],
    "bpfRawRules": {
        "files": [{"pattern": "/etc/**", "permissions": ["read", "w"], "qualifiers": ["deny", "audit"]}],
        "processes": [{"pattern": "**/curl", "permissions": ["x"], "qualifiers": ["deny"]}],
        "network": {
            "sockets": [{"domains": ["inet"], "types": ["stream"], "qualifiers": ["deny"]}],
            "egress": {
                "toDestinations": [
                    {"cidr": "10.0.0.0/8", "ports": [{"port": 80, "endPort": 90}], "qualifiers": ["deny"]}],
                "toServices": [{"namespace": "default", "name": "kubernetes", "qualifiers": ["deny"]}],
                "toPods": [{"podSelector": {"matchLabels": {"a": "b"}}, "qualifiers": ["deny"]}],
            },
        },
        "ptrace": {"permissions": ["trace", "readby"], "strictMode": True, "qualifiers": ["deny"]},
        "mounts": [{"sourcePattern": "/proc**", "fstype": "none", "flags": ["bind", "rw"], "qualifiers": ["deny"]}],
    },
    "privileged": False,
    "auditViolations": True,
    "allowViolations": False,
}  # fmt: skip
_DEFENSE = {
    "appArmor": {"profileType": "Custom", "customProfile": "profile web flags=(attach_disconnected) {\n  file,\n}\n"},
    "seccomp": {"profileType": "Custom", "customProfile": json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}]})},
    "bpf": {"profileType": "Custom", "customProfile": {
        "files": [{"pattern": "/**", "permissions": ["read"]}], "capabilities": ["net_bind_service"],
        "operations": ["userns_create"]}},
    "allowViolations": False,
}  # fmt: skip


def _bases() -> Iterator[dict[str, Any]]:
    yield manifest(**_RULES)
    for mode in ("AlwaysAllow", "RuntimeDefault"):
        yield manifest(mode=mode)
    document = manifest(mode="DefenseInDepth")
    document["spec"]["policy"]["defenseInDepth"] = _DEFENSE
    yield document
    document = manifest(mode="BehaviorModeling")
    document["spec"]["policy"]["modelingOptions"] = {"duration": 30}
    yield document


_BASES = list(_bases())
_JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=40), st.just({}), st.just([]),
    st.lists(st.text(max_size=8), max_size=3), st.sampled_from(
        ["deny", "audit", "**", "/**/{a,b", "\0", "0x10", "10.0.0.1/8", "::ffff:1.2.3.4", "SCMP_ACT_KILL", "-1",
         "Unit", "x.service", "/a b", "'", '"', "}", ",", "profile x {", "@{x}", "é", "\U0001f600", "all", "*"]),
)  # fmt: skip
_CHANGE = st.tuples(st.integers(0, 400), st.sampled_from(["replace", "remove", "twice", "add"]), _JUNK)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All containers with a key or index in them, depth first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(items):
        yield value, key
        yield from _places(child)


def _changed(document: dict[str, Any], number: int, how: str, junk: Any) -> None:
    places = list(_places(document))
    if not places:
        return
    container, key = places[number % len(places)]
    if how == "replace":
        container[key] = junk
    elif how == "remove":
        del container[key]
    elif how == "twice" and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif isinstance(container, dict):
        container["surprise" if not isinstance(junk, str) else junk] = junk
    else:
        container.append(junk)


@settings(deadline=None, max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(range(len(_BASES))), st.lists(_CHANGE, max_size=4))
@example(0, [])
@example(3, [])
@example(4, [])
def test_a_manifest_is_compiled_or_refused_by_an_error_that_says_where(base: int, changes: list[Any]) -> None:
    document = copy.deepcopy(_BASES[base])
    for number, how, junk in changes:
        _changed(document, number, how, junk)
    try:
        policy = parse_object(document, "fuzz")
        profile = compile_policy(policy, load(), NodeFacts())
    except PolicyError as error:
        assert changes, f"a right manifest was refused: {error}"
        assert str(error).startswith(("fuzz", "<", "Varmor", "kind", "apiVersion", "metadata", "spec")), str(error)
        assert "\n" not in str(error)
        return
    try:
        if profile.bpf is not None:
            tables.encode(profile.bpf)
    except VarmorError:
        return
    assert decode(encode(profile)) == profile
    assert difference(profile, profile) == []

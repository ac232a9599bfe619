# SPDX-License-Identifier: Apache-2.0
"""Manifests become policies: strict, with the place of every fault.

What is checked here needs no knowledge beyond the manifest: structure, types, words, ranges. Rule names and the rules'
own languages are checked when a policy is compiled (:mod:`varmor.profile.compile`).
"""

from __future__ import annotations

import re

from varmor.errors import Location, PolicyError
from varmor.policy.cursor import Cursor
from varmor.policy.document import Value, read_object, read_yaml
from varmor.policy.nearest import did_you_mean
from varmor.policy.parse_enhance_protect import enhance_protect
from varmor.policy.parse_target import target
from varmor.policy.types import API_VERSION, Enforcer, Mode, Policy, PolicyKey, PolicyKind

MAX_PROFILE_NAME = 63

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ENFORCERS = {
    "apparmor": Enforcer.APPARMOR,
    "bpf": Enforcer.BPF,
    "seccomp": Enforcer.SECCOMP,
    "networkproxy": None,
}
_METADATA = (
    "name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "ownerReferences", "managedFields", "selfLink",
)  # fmt: skip
_NOT_BUILT = "is not built yet: remove it"
_POLICY_REFUSED = {
    "modelingOptions": f"behaviour modelling {_NOT_BUILT}",
    "defenseInDepth": f"the mode DefenseInDepth {_NOT_BUILT}",
    "networkProxyConfig": f"the enforcer NetworkProxy {_NOT_BUILT}",
}


def parse_policies(text: str, source: str) -> list[Policy]:
    """All policies of a YAML stream, in its order. ``source`` is the file's name for messages.

    Raises:
        PolicyError: the first fault that was found.
    """
    policies: list[Policy] = []
    seen: dict[PolicyKey, Location] = {}
    for document in read_yaml(text, source):
        policy = _policy(document)
        if policy.key in seen:
            raise policy.error("metadata.name", f"this policy is defined twice; the first is at {seen[policy.key]}")
        seen[policy.key] = policy.where
        policies.append(policy)
    return policies


def parse_object(obj: object, source: str) -> Policy:
    """One policy from a JSON object. ``source`` says where it came from, for messages.

    Raises:
        PolicyError: the first fault that was found.
    """
    return _policy(read_object(obj, source))


def _policy(document: Value) -> Policy:
    positions: dict[str, Location] = {}
    root = Cursor(document, "", "", positions)
    kind = _kind(root)
    key = _key(root, kind)
    root.subject = str(key)
    root.only(("apiVersion", "kind", "metadata", "spec", "status"))
    spec = root.child("spec")
    spec.only(("target", "policy", "updateExistingWorkloads"))
    body = spec.child("policy")
    mode = _mode(body)
    body.only(("enforcer", "mode", "enhanceProtect"), _POLICY_REFUSED)
    rules = body.child("enhanceProtect") if mode is Mode.ENHANCE_PROTECT else body.maybe("enhanceProtect")
    return Policy(
        key=key,
        target=target(spec.child("target")),
        enforcers=_enforcers(body.child("enforcer")),
        mode=mode,
        enhance_protect=enhance_protect(rules) if rules else None,
        update_existing_workloads=spec.flag("updateExistingWorkloads"),
        manifest=document.plain(),
        where=document.where,
        positions=positions,
    )


def _kind(root: Cursor) -> PolicyKind:
    kind = root.child("kind")
    found = kind.string()
    names = [member.value for member in PolicyKind]
    if found not in names:
        raise kind.error(
            f"the kind {found[:80]!r} is no policy; expected {' or '.join(names)}{did_you_mean(found, names)}"
        )
    version = root.child("apiVersion")
    if version.string() != API_VERSION:
        raise version.error(f"unknown version {version.string()[:80]!r}; expected {API_VERSION!r}")
    return PolicyKind(found)


def _key(root: Cursor, kind: PolicyKind) -> PolicyKey:
    metadata = root.child("metadata")
    name = metadata.child("name")
    root.subject = metadata.subject = name.subject = f"{kind.value} {name.string(limit=253)}"
    metadata.only(_METADATA)
    if not _DNS_NAME.fullmatch(name.string()):
        raise name.error(
            f"{name.string()!r} is not a valid name; expected lower-case letters, digits, '-' and '.', "
            "beginning and ending with a letter or digit (RFC 1123)"
        )
    key = PolicyKey(kind, _namespace(metadata, kind), name.string())
    if len(profile_name(key)) > MAX_PROFILE_NAME:
        raise name.error(
            f"the profile would be called {profile_name(key)!r}: {len(profile_name(key))} characters, "
            f"at most {MAX_PROFILE_NAME} are possible; shorten the name"
        )
    return key


def _namespace(metadata: Cursor, kind: PolicyKind) -> str:
    namespace = metadata.maybe("namespace")
    if kind is PolicyKind.VARMOR_CLUSTER_POLICY:
        if namespace is not None:
            raise namespace.error("a VarmorClusterPolicy has no namespace: remove it, or use the kind VarmorPolicy")
        return ""
    if namespace is None:
        return "default"
    if not _DNS_LABEL.fullmatch(namespace.string()):
        raise namespace.error(
            f"{namespace.string()[:80]!r} is not a valid namespace; expected lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit (RFC 1123)"
        )
    return namespace.string()


def profile_name(key: PolicyKey) -> str:
    """The name of the profile that a policy becomes, the same in every enforcer."""
    scope = f"varmor-{key.namespace}" if key.namespace else "varmor-cluster-varmor"
    return f"{scope}-{key.name}".lower()


def _mode(body: Cursor) -> Mode:
    mode = body.child("mode")
    found = mode.word(Mode)
    if found in (Mode.BEHAVIOR_MODELING, Mode.DEFENSE_IN_DEPTH):
        raise mode.error(
            f"the mode {found.value} is not built yet; use {Mode.ALWAYS_ALLOW.value}, {Mode.RUNTIME_DEFAULT.value} "
            f"or {Mode.ENHANCE_PROTECT.value}"
        )
    return found


def _enforcers(enforcer: Cursor) -> Enforcer:
    """Any concatenation of enforcer names, whatever the case, also with separators between them."""
    found = enforcer.string(limit=200)
    rest = found.lower()
    enforcers = Enforcer(0)
    while rest := rest.lstrip(" ,+|"):
        name = next((name for name in _ENFORCERS if rest.startswith(name)), None)
        if name is None:
            raise _unknown_enforcer(enforcer, found, rest)
        member = _ENFORCERS[name]
        if member is None:
            raise enforcer.error(f"{found!r}: the enforcer NetworkProxy is not built yet; use AppArmor, BPF or Seccomp")
        enforcers |= member
        rest = rest[len(name) :]
    if not enforcers:
        raise _unknown_enforcer(enforcer, found, rest)
    return enforcers


def _unknown_enforcer(enforcer: Cursor, found: str, rest: str) -> PolicyError:
    at = f" at {found[len(found) - len(rest) :]!r}" if 0 < len(rest) < len(found) else ""
    return enforcer.error(
        f"unknown enforcer {found!r}{at}; expected AppArmor, BPF and Seccomp in any combination, such as AppArmorBPF"
        f"{did_you_mean(rest, ('AppArmor', 'BPF', 'Seccomp'))}"
    )

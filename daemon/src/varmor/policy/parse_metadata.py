# SPDX-License-Identifier: Apache-2.0
"""What every object begins with: kind, version, name and namespace."""

from __future__ import annotations

import re
from collections.abc import Sequence

from varmor.policy.cursor import Cursor
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import API_VERSION

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Of the metadata only name and namespace mean something here; the others are what an API server writes.
_METADATA = (
    "name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "ownerReferences", "managedFields", "selfLink",
)  # fmt: skip


def object_kind(root: Cursor, kinds: Sequence[str]) -> str:
    """The kind of an object, one of ``kinds``, of the version that is known here.

    Raises:
        PolicyError: it is another kind or version.
    """
    kind = root.child("kind")
    found = kind.string()
    if found not in kinds:
        raise kind.error(
            f"the kind {found[:80]!r} is no policy; expected {' or '.join(kinds)}{did_you_mean(found, kinds)}"
        )
    version = root.child("apiVersion")
    if version.string() != API_VERSION:
        raise version.error(f"unknown version {version.string()[:80]!r}; expected {API_VERSION!r}")
    return found


def object_name(root: Cursor, kind: str, *, namespaced: bool = True) -> tuple[str, str]:
    """Namespace and name. From here on errors name the object; a missing namespace is ``default``.

    Raises:
        PolicyError: one of them is malformed, or a namespace is given for an object that has none.
    """
    metadata = root.child("metadata")
    name = metadata.child("name")
    root.subject = metadata.subject = name.subject = kind
    if not _DNS_NAME.fullmatch(name.string(limit=253)):
        raise name.error(
            f"{name.string()!r} is not a valid name; expected lower-case letters, digits, '-' and '.', "
            "beginning and ending with a letter or digit (RFC 1123)"
        )
    root.subject = metadata.subject = name.subject = f"{kind} {name.string()}"
    metadata.only(_METADATA)
    namespace = _namespace(metadata, kind, namespaced=namespaced)
    root.subject = f"{kind} {namespace}/{name.string()}" if namespace else f"{kind} {name.string()}"
    return namespace, name.string()


def _namespace(metadata: Cursor, kind: str, *, namespaced: bool) -> str:
    namespace = metadata.maybe("namespace")
    if not namespaced:
        if namespace is not None:
            raise namespace.error(f"a {kind} has no namespace: remove it, or use the kind VarmorPolicy")
        return ""
    if namespace is None:
        return "default"
    if not _DNS_LABEL.fullmatch(namespace.string()):
        raise namespace.error(
            f"{namespace.string()[:80]!r} is not a valid namespace; expected lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit (RFC 1123)"
        )
    return namespace.string()

# SPDX-License-Identifier: Apache-2.0
"""``spec.target``: what a policy applies to."""

from __future__ import annotations

import re

from varmor.policy.cursor import Cursor
from varmor.policy.types import LabelSelector, SelectorOperator, SelectorRequirement, Target, TargetKind

_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.service")
_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}")
_LABEL_VALUE = re.compile(rf"({_LABEL_NAME})?")


def target(cursor: Cursor) -> Target:
    """Read ``spec.target``.

    Raises:
        PolicyError: a target that cannot match anything, or mixes what belongs to different kinds.
    """
    kind = cursor.child("kind").word(TargetKind)
    if kind is TargetKind.UNIT:
        return _unit(cursor)
    if kind is TargetKind.CONTAINER:
        return _container(cursor)
    return _kubernetes(cursor, kind)


def _unit(cursor: Cursor) -> Target:
    reason = "a target of kind Unit is chosen by its name alone: remove this field"
    cursor.only(("kind", "name"), dict.fromkeys(("image", "selector", "containers"), reason))
    name = cursor.child("name")
    found = name.string(limit=255)
    if any(sign in found for sign in "*?["):
        raise name.error(f"{found!r}: a unit's name takes no wildcard; expected a full name such as nginx.service")
    if not _UNIT_NAME.fullmatch(found):
        raise name.error(f"{found!r} is not the full name of a service unit; expected a name such as nginx.service")
    if found.endswith("@.service"):
        raise name.error(f"{found!r} is a template; expected an instance such as {found[:-8]}x.service")
    return Target(TargetKind.UNIT, name=found)


def _container(cursor: Cursor) -> Target:
    cursor.only(
        ("kind", "name", "image", "selector"),
        {"containers": "a target of kind Container names containers by 'name': use that field"},
    )
    name, image, selector = (cursor.maybe(field) for field in ("name", "image", "selector"))
    if name is None and image is None and selector is None:
        raise cursor.error("a target of kind Container needs at least one of name, image and selector")
    return Target(
        TargetKind.CONTAINER,
        name=_glob(name) if name else "",
        image=_glob(image) if image else "",
        selector=label_selector(selector) if selector else None,
    )


def _glob(cursor: Cursor) -> str:
    pattern = cursor.string(limit=512)
    if not pattern.isprintable() or " " in pattern:
        raise cursor.error(f"{pattern!r} holds a space or a control character; no name can match it")
    return pattern


def _kubernetes(cursor: Cursor, kind: TargetKind) -> Target:
    cursor.only(
        ("kind", "name", "selector", "containers"),
        {"image": f"a target of kind {kind.value} is not chosen by image: use kind Container"},
    )
    name, selector = cursor.maybe("name"), cursor.maybe("selector")
    if (name is None) == (selector is None):
        found = "neither" if name is None else "both"
        raise cursor.error(f"a target of kind {kind.value} needs either name or selector, found {found}")
    return Target(
        kind,
        name=name.string(limit=253) if name else "",
        selector=label_selector(selector) if selector else None,
        containers=cursor.strings("containers"),
    )


def label_selector(cursor: Cursor, *, empty: bool = False) -> LabelSelector:
    """A Kubernetes label selector. An ``empty`` one, which matches everything, must be permitted.

    Raises:
        PolicyError: it is malformed, or could never match.
    """
    cursor.only(("matchLabels", "matchExpressions"))
    labels = cursor.maybe("matchLabels")
    pairs = tuple(sorted(_label(labels, name) for name in labels.names())) if labels else ()
    expressions = cursor.each("matchExpressions", _requirement)
    if not pairs and not expressions and not empty:
        raise cursor.error("an empty selector would match everything; expected matchLabels or matchExpressions")
    return LabelSelector(pairs, expressions)


def _label(labels: Cursor, name: str) -> tuple[str, str]:
    value = labels.child(name)
    if not _LABEL_KEY.fullmatch(name):
        raise value.error(f"{name[:80]!r} is not a label name")
    return name, _label_value(value)


def _label_value(cursor: Cursor) -> str:
    value = cursor.string(empty=True)
    if not _LABEL_VALUE.fullmatch(value):
        raise cursor.error(f"{value[:80]!r} is not a label value; no label can have it")
    return value


def _requirement(cursor: Cursor) -> SelectorRequirement:
    cursor.only(("key", "operator", "values"))
    key = cursor.child("key")
    if not _LABEL_KEY.fullmatch(key.string()):
        raise key.error(f"{key.string()[:80]!r} is not a label name")
    operator = cursor.child("operator").word(SelectorOperator)
    values = tuple(sorted(cursor.each("values", _label_value)))
    takes_values = operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
    if takes_values != bool(values):
        wanted = "at least one value" if takes_values else "no values"
        raise cursor.error(f"the operator {operator.value} takes {wanted}, found {len(values)}")
    return SelectorRequirement(key.string(), operator, values)

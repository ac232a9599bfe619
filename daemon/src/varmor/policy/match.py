# SPDX-License-Identifier: Apache-2.0
"""Whether a target matches a workload."""

from __future__ import annotations

from collections.abc import Mapping

from varmor.policy.types import LabelSelector, SelectorOperator, SelectorRequirement, Target, TargetKind
from varmor.policy.workload import Workload, WorkloadKind

_DOCKER_PREFIXES = ("docker.io/library/", "docker.io/")


def matches(target: Target, workload: Workload) -> bool:
    """Whether ``workload`` is meant by ``target``.

    Kubernetes kinds never match here: which pods they mean is known to the controller alone.
    """
    if target.kind is TargetKind.UNIT:
        return workload.kind is WorkloadKind.UNIT and workload.name == target.name
    if target.kind is not TargetKind.CONTAINER or workload.kind is not WorkloadKind.CONTAINER:
        return False
    if target.name and not glob_matches(target.name, workload.name):
        return False
    if target.image and not any(glob_matches(target.image, name) for name in image_names(workload.image)):
        return False
    return target.selector is None or selects(target.selector, workload.labels)


def image_names(image: str) -> tuple[str, ...]:
    """The full reference of an image and the familiar ones without Docker Hub's prefix."""
    if not image:
        return ()
    return (image, *(image.removeprefix(prefix) for prefix in _DOCKER_PREFIXES if image.startswith(prefix)))


def glob_matches(pattern: str, name: str) -> bool:
    """Whether a glob with ``*`` (any run) and ``?`` (one character) matches the whole of ``name``."""
    # The classic two-pointer walk: at a mismatch only the last star takes one character more, so the cost is bounded by
    # the product of both lengths; a regular expression with many stars is not.
    at = star = taken = position = 0
    starred = False
    while position < len(name):
        if at < len(pattern) and pattern[at] == "*":
            starred, star, taken = True, at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[position]):
            at += 1
            position += 1
        elif starred:
            taken += 1
            at, position = star + 1, taken
        else:
            return False
    return not pattern[at:].strip("*")


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a label selector, with Kubernetes' meaning, matches ``labels``."""
    return all(labels.get(name) == value for name, value in selector.match_labels) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions
    )


def _meets(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case SelectorOperator.IN:
            return present and labels[requirement.key] in requirement.values
        case SelectorOperator.NOT_IN:
            return not present or labels[requirement.key] not in requirement.values
        case SelectorOperator.EXISTS:
            return present
        case SelectorOperator.DOES_NOT_EXIST:
            return not present

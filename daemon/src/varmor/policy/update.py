# SPDX-License-Identifier: Apache-2.0
"""Which changes of a policy that is in force are possible: vArmor's rules for updates."""

from __future__ import annotations

from collections.abc import Iterator

from varmor.errors import PolicyError
from varmor.policy import render
from varmor.policy.status import Phase
from varmor.policy.types import Enforcer, Policy

_ENFORCER = "spec.policy.enforcer"
_MODE = "spec.policy.mode"
# A container's AppArmor profile and seccomp filter are set when it starts; BPF alone can be taken from running ones.
_REMOVABLE = Enforcer.BPF


def check_update(old: Policy, new: Policy, phase: str = "") -> None:
    """Check that ``old``, which stands in ``phase``, may become ``new``.

    ``phase`` is a :class:`Phase`; where it is empty, the status in the manifest of ``old`` counts, if there is one.
    That ``new`` by itself is right, for example that its mode has the part that it needs, was checked by parsing it.

    Raises:
        PolicyError: the first change that is not possible.
    """
    for error in refusals(old, new, phase):
        raise error


def refusals(old: Policy, new: Policy, phase: str = "") -> Iterator[PolicyError]:
    """All changes from ``old`` to ``new`` that are not possible in ``phase``."""
    phase = phase or _phase_of(old)
    if old.key != new.key:
        yield new.error(
            "metadata.name", f"this is another object than {old.key}; an update keeps kind, namespace and name"
        )
        return
    if old.target != new.target:
        yield new.error(
            "spec.target",
            f"the target of a policy cannot be changed; it was {_shown(old)}: delete the policy and make a new one",
        )
    if phase == Phase.MODELING:
        yield from _while_modeling(old, new)
    yield from _enforcers(old, new)


def _phase_of(policy: Policy) -> str:
    """What the status says that came with a manifest, as ``kubectl get -o yaml`` prints it."""
    status = policy.manifest.get("status")
    return str(status.get("phase", "")) if isinstance(status, dict) else ""


def _shown(policy: Policy) -> str:
    pairs = render.target(policy.target)
    return ", ".join(f"{name}: {value}" for name, value in pairs.items())


def _while_modeling(old: Policy, new: Policy) -> Iterator[PolicyError]:
    advice = "wait until it is complete, or delete the policy and make a new one"
    if old.mode is not new.mode:
        yield new.error(
            _MODE,
            f"the mode cannot be changed from {old.mode.value} to {new.mode.value} "
            f"while behaviour is modelled: {advice}",
        )
    if old.enforcers != new.enforcers:
        yield new.error(
            _ENFORCER,
            f"the enforcers cannot be changed from {_names(old.enforcers)} to {_names(new.enforcers)} "
            f"while behaviour is modelled: {advice}",
        )


def _enforcers(old: Policy, new: Policy) -> Iterator[PolicyError]:
    removed, added = old.enforcers & ~new.enforcers, new.enforcers & ~old.enforcers
    kept = removed & ~_REMOVABLE
    if kept:
        yield new.error(
            _ENFORCER,
            f"{_names(kept)} cannot be removed from a policy in force: running containers keep it; to let everything "
            f"pass use the mode AlwaysAllow, or delete the policy and make a new one (only BPF can be removed)",
        )
    elif removed and added:
        yield new.error(
            _ENFORCER,
            f"{_names(removed)} cannot be removed in the same update that adds {_names(added)}: make two updates",
        )


def _names(enforcers: Enforcer) -> str:
    return " and ".join(enforcers.names())

# SPDX-License-Identifier: Apache-2.0
"""The behaviour model that a policy of mode DefenseInDepth takes its profiles from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varmor.profile.place import Place
from varmor.profile.request import Request

if TYPE_CHECKING:
    from varmor.policy.armor_profile_model import ArmorProfileModel


def find_model(request: Request, place: Place) -> ArmorProfileModel:
    """The model of the policy: that of the profile's name, in the policy's namespace. ``place`` asked for it.

    Raises:
        PolicyError: there is none.
    """
    namespace = request.policy.key.namespace
    for model in request.models:
        if model.name == request.name and (not namespace or model.namespace == namespace):
            return model
    where = f" of the namespace {namespace}" if namespace else ""
    raise place.error(
        f"the behaviour model {request.name!r}{where} is missing: put the ArmorProfileModel beside the policy, or use "
        "profileType Custom"
    )


def model_text(request: Request, place: Place, enforcer: str) -> str:
    """The profile that the model has for ``AppArmor`` or ``Seccomp``, as text.

    Raises:
        PolicyError: the model is missing, or has no such profile.
    """
    model = find_model(request, place)
    content = model.data.profile
    text = "" if content is None else content.apparmor if enforcer == "AppArmor" else content.seccomp
    if not text:
        raise place.error(
            f"{model} has no {enforcer} profile: model the workload with {enforcer} among the enforcers, or use "
            "profileType Custom"
        )
    return text

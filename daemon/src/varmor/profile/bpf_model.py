# SPDX-License-Identifier: Apache-2.0
"""A behaviour model as the allow-list of the BPF enforcer.

A model that carries a list of its own is taken at its word; of one by vArmor, which makes no BPF profile, the list is
what was seen.
"""

from __future__ import annotations

from varmor.policy.armor_profile_model import ArmorProfileModel
from varmor.policy.model_data import BpfResult, FileUse, NetworkUse, SocketUse
from varmor.policy.types import (
    BpfAllowList,
    BpfMountRule,
    BpfPathRule,
    BpfPtraceRule,
    BpfSocketRule,
    Destination,
    Port,
)
from varmor.profile.bpf_allow import allow_list
from varmor.profile.bpf_words import PERMISSIONS, PROTOCOLS, TYPES
from varmor.profile.pattern import PatternError, canonical, quoted
from varmor.profile.place import Place
from varmor.profile.selection import Reaction
from varmor.profile.types import AllowList, NoEffect

# What records of files say beside the permissions of rules: all of it changes the directory's content.
_CHANGES = frozenset({"create", "rename", "link", "symlink", "unlink", "mkdir", "rmdir", "mknod", "l", "c", "d"})
_LOCKS = frozenset({"k", "lock"})


def allow_list_of_model(model: ArmorProfileModel, place: Place, reaction: Reaction, notes: list[NoEffect]) -> AllowList:
    """The list of ``model``. ``place`` is the field that asked for it, ``reaction`` what happens to all else.

    Raises:
        PolicyError: the model knows nothing about BPF, or holds a word that nobody knows.
    """
    content, seen = model.data.profile, model.data.dynamic_result.bpf
    if content is not None and content.bpf_allow_list is not None:
        return allow_list(content.bpf_allow_list, place, reaction, notes)
    if seen is None:
        raise place.error(
            f"{model} has nothing for BPF: model the workload with BPF among the enforcers, or use profileType Custom"
        )
    return allow_list(_as_written(seen), place, reaction, notes)


def _as_written(seen: BpfResult) -> BpfAllowList:
    network = seen.network or NetworkUse()
    external = {word.lower() for use in seen.ptraces if use.external for word in use.permissions}
    return BpfAllowList(
        files=tuple(_file(use) for use in seen.files),
        processes=tuple(BpfPathRule((), _pattern(path), ("exec",)) for path in seen.executions),
        egress=tuple(
            Destination((), ip=use.ip, ports=tuple(Port(port) for port in use.ports)) for use in network.egresses
        ),
        sockets=tuple(_socket(use) for use in network.sockets),
        ptrace=BpfPtraceRule((), tuple(sorted(external))) if external else None,
        mounts=tuple(BpfMountRule((), use.path or "**", use.type or "*", use.flags or ("all",)) for use in seen.mounts),
        capabilities=seen.capabilities,
    )


def _file(use: FileUse) -> BpfPathRule:
    words: list[str] = []
    for permission in use.permissions:
        word = permission.lower()
        if word in _CHANGES:
            words.append("write")
        elif word in PERMISSIONS or word not in _LOCKS:
            words.append(word)
    return BpfPathRule((), _pattern(use.path), tuple(dict.fromkeys(words)) or ("read",))


def _pattern(path: str) -> str:
    """A recorded path may hold the wildcards of a model; one that is no pattern is meant letter by letter."""
    try:
        canonical(path)
    except PatternError:
        return quoted(path)
    return path


def _socket(use: SocketUse) -> BpfSocketRule:
    domain = use.domain.lower().removeprefix("af_").removeprefix("pf_")
    kind = use.type.lower().removeprefix("sock_")
    protocol = use.protocol.lower().removeprefix("ipproto_")
    return BpfSocketRule(
        (),
        (domain or "all",),
        (kind,) if kind in TYPES else (),
        (protocol,) if protocol in PROTOCOLS else (),
    )

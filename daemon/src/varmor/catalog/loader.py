# SPDX-License-Identifier: Apache-2.0
"""Reads the built-in rules from the package's data.

The rules are written in ``rules/*.yaml`` (:mod:`varmor.catalog.source`). What is read at run time is the same content
as one JSON file, ``rules.json``, because reading YAML would take most of the time of a command line.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from varmor.catalog import capabilities
from varmor.catalog.types import (
    AppArmorForm,
    BpfForm,
    Catalog,
    MountForm,
    PathForm,
    PortForm,
    Rule,
    RuleList,
    SocketForm,
    SyscallForm,
    canonical,
)
from varmor.errors import VarmorError
from varmor.policy.types import Enforcer, SyscallArg

DATA = Path(__file__).with_name("rules.json")

_MASKED = "SCMP_CMP_MASKED_EQ"
_INT = 0xFFFFFFFF
_PORTS = 0x10000
_ACCESS = frozenset({"read", "write", "exec"})
_ENFORCERS = {"apparmor": Enforcer.APPARMOR, "bpf": Enforcer.BPF, "seccomp": Enforcer.SECCOMP}

__all__ = ["Catalog", "CatalogError", "catalog_of", "load", "rules_of"]


class CatalogError(VarmorError):
    """The data of the catalog is wrong: the installation is damaged."""


@functools.cache
def load() -> Catalog:
    """The catalog of this version.

    Raises:
        CatalogError: the data is missing or wrong.
    """
    try:
        entries = json.loads(DATA.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"catalog: {DATA}: {error}; install varmor again") from error
    return catalog_of(rules_of(entries, DATA.name))


def catalog_of(rules: Iterable[Rule]) -> Catalog:
    """These rules as a catalog.

    Raises:
        CatalogError: there are none, or a name is not in canonical form or there twice.
    """
    found = sorted(rules, key=lambda rule: rule.name)
    taken: set[str] = set()
    for rule in found:
        for name in (rule.name, *rule.aliases):
            if name in taken or name != canonical(name):
                raise CatalogError(f"catalog: the name {name!r} is used twice or not in canonical form")
            taken.add(name)
    if not found:
        raise CatalogError("catalog: no rules; install varmor again")
    return Catalog(tuple(found))


def rules_of(entries: Iterable[dict[str, Any]], source: str) -> Iterator[Rule]:
    """The rules that these entries of a data file describe.

    Raises:
        CatalogError: an entry is not of the expected shape; the message names file and rule.
    """
    for entry in entries:
        try:
            yield _rule(dict(entry))
        except (KeyError, TypeError, ValueError) as error:
            name = entry.get("name") if isinstance(entry, dict) else entry
            raise CatalogError(f"catalog: {source}: rule {name!r}: {type(error).__name__}: {error}") from error


def _rule(entry: dict[str, Any]) -> Rule:
    rule = Rule(
        name=entry.pop("name"),
        list=RuleList(entry.pop("list")),
        summary=entry.pop("summary").strip(),
        attack=entry.pop("attack").strip(),
        breaks=entry.pop("breaks").strip(),
        aliases=tuple(entry.pop("aliases", ())),
        apparmor=_apparmor(entry.pop("apparmor", None)),
        bpf=_bpf(entry.pop("bpf", None)),
        seccomp=tuple(_syscall(dict(form)) for form in entry.pop("seccomp", ())),
        unit=tuple((directive, value) for directive, value in entry.pop("unit", ())),
        cves=tuple(entry.pop("cves", ())),
        cannot=_by_enforcer(entry.pop("cannot", {})),
        limits=_by_enforcer(entry.pop("limits", {})),
    )
    _nothing_left(entry)
    _check_complete(rule)
    return rule


def _check_complete(rule: Rule) -> None:
    """Each enforcer has either a form or a reason why not, and limits only where it has a form."""
    if not rule.enforcers:
        raise ValueError("no enforcer has a form")
    explained = {enforcer for enforcer, _ in rule.cannot}
    for word, enforcer in _ENFORCERS.items():
        if (enforcer in rule.enforcers) == (enforcer in explained):
            raise ValueError(f"{word} needs either a form or a reason in 'cannot', found {_found(rule, enforcer)}")
    idle = [enforcer for enforcer, _ in rule.limits if enforcer not in rule.enforcers]
    if idle:
        raise ValueError(f"limits of {', '.join(idle[0].names())}, which has no form")


def _found(rule: Rule, enforcer: Enforcer) -> str:
    return "both" if enforcer in rule.enforcers else "none"


def _by_enforcer(texts: dict[str, str]) -> tuple[tuple[Enforcer, str], ...]:
    return tuple((_ENFORCERS[word], " ".join(text.split())) for word, text in texts.items())


def _version(text: str) -> tuple[int, int]:
    major, minor = (int(part) for part in text.split("."))
    return major, minor


def _apparmor(form: dict[str, Any] | None) -> AppArmorForm | None:
    if form is None:
        return None
    form = dict(form)
    versions = {key: _version(form.pop(key)) for key in ("parser", "kernel") if key in form}
    made = AppArmorForm(tuple(form.pop("rules")), **versions)
    _nothing_left(form)
    if not made.rules:
        raise ValueError("the AppArmor form is empty")
    return made


def _bpf(form: dict[str, Any] | None) -> BpfForm | None:
    if form is None:
        return None
    form = dict(form)
    made = BpfForm(
        paths=tuple(_path(item) for item in form.pop("paths", ())),
        egress=tuple(form.pop("egress", ())),
        ports=tuple(PortForm(tuple(item.pop("ports")), **item) for item in map(dict, form.pop("ports", ()))),
        services=tuple(form.pop("services", ())),
        sockets=tuple(SocketForm(**_tuples(item)) for item in form.pop("sockets", ())),
        ptrace=tuple(form.pop("ptrace", ())),
        mounts=tuple(MountForm(**_tuples(item)) for item in form.pop("mounts", ())),
        capabilities=tuple(form.pop("capabilities", ())),
        switches=tuple(form.pop("switches", ())),
        kernel=_version(form.pop("kernel", "6.1")),
    )
    _nothing_left(form)
    _check_bpf(made)
    return made


def _check_bpf(form: BpfForm) -> None:
    if form == BpfForm(kernel=form.kernel):
        raise ValueError("the BPF form is empty")
    unknown = set(form.capabilities) - set(capabilities.NAMES)
    if unknown:
        raise ValueError(f"unknown capabilities {sorted(unknown)}")
    for address in (*form.egress, *(item.network for item in form.ports if item.network)):
        ip_network(address)
    for item in form.ports:
        if not item.ports or not all(0 < port < _PORTS for port in item.ports):
            raise ValueError(f"ports {item.ports}")
    for service in form.services:
        if service.count("/") != 1:
            raise ValueError(f"the service {service!r} is not of the form namespace/name")


def _tuples(item: dict[str, Any]) -> dict[str, Any]:
    """Lists of a data file as the tuples that immutable values hold."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}


def _path(item: dict[str, Any]) -> PathForm:
    form = PathForm(item["pattern"], tuple(item["access"]))
    if not form.access or not _ACCESS.issuperset(form.access):
        raise ValueError(f"access {form.access} of {form.pattern}")
    return form


def _syscall(form: dict[str, Any]) -> SyscallForm:
    made = SyscallForm(
        names=tuple(form.pop("names")),
        errno=form.pop("errno", 1),
        args=tuple(_arg(dict(arg)) for arg in form.pop("args", ())),
        observable=form.pop("observable", True),
    )
    _nothing_left(form)
    if len({arg.index for arg in made.args}) != len(made.args):
        raise ValueError(f"{made.names}: two conditions on one argument, which older libseccomp cannot say")
    return made


def _arg(arg: dict[str, Any]) -> SyscallArg:
    """A condition: ``is`` a value, ``is`` a value under a ``mask``, or ``has`` all of some bits.

    The kernel reads int arguments from the lower half of the register only, so a value is compared under a mask of 32
    bits: a program that sets the upper half does not get past it.
    """
    index = arg.pop("index")
    if "has" in arg:
        bits = arg.pop("has")
        made = SyscallArg(index, bits, _MASKED, bits)
    else:
        mask = arg.pop("mask", _INT)
        made = SyscallArg(index, mask, _MASKED, arg.pop("is"))
        if made.value_two & ~mask:
            raise ValueError(f"{made.value_two:#x} has bits outside of the mask {mask:#x}")
    _nothing_left(arg)
    return made


def _nothing_left(entry: dict[str, Any]) -> None:
    if entry:
        raise ValueError(f"unknown keys {sorted(entry)}")

# SPDX-License-Identifier: Apache-2.0
"""Reads the built-in rules from the package's data files."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

from varmor.catalog import capabilities
from varmor.catalog.types import (
    AppArmorForm,
    BpfForm,
    Catalog,
    MountForm,
    PathForm,
    Rule,
    RuleList,
    SocketForm,
    SyscallForm,
    canonical,
)
from varmor.errors import VarmorError
from varmor.policy.types import Enforcer, SyscallArg

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ACCESS = frozenset({"read", "write", "exec"})
_ENFORCERS = {"apparmor": Enforcer.APPARMOR, "bpf": Enforcer.BPF, "seccomp": Enforcer.SECCOMP}

__all__ = ["Catalog", "CatalogError", "load", "read"]


class CatalogError(VarmorError):
    """A data file of the catalog is wrong: the installation is damaged."""


@functools.cache
def load() -> Catalog:
    """The catalog of this version.

    Raises:
        CatalogError: a data file is missing or wrong.
    """
    folder = resources.files("varmor.catalog") / "rules"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    rules = [rule for item in files for rule in read(item.read_text(encoding="utf-8"), item.name)]
    taken: set[str] = set()
    for rule in rules:
        for name in (rule.name, *rule.aliases):
            if name in taken or name != canonical(name):
                raise CatalogError(f"catalog: the name {name!r} is used twice or not in canonical form")
            taken.add(name)
    if not rules:
        raise CatalogError(f"catalog: no rules in {folder}; install varmor again")
    return Catalog(tuple(sorted(rules, key=lambda rule: rule.name)))


def read(text: str, source: str) -> Iterator[Rule]:
    """The rules of one data file.

    Raises:
        CatalogError: a rule is not of the expected shape; the message names file and rule.
    """
    for entry in yaml.load(text, Loader=_LOADER):  # noqa: S506 - the loader is a safe one
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
    )
    _nothing_left(entry)
    if not rule.enforcers:
        raise ValueError("no enforcer has a form")
    return rule


def _apparmor(form: dict[str, Any] | None) -> AppArmorForm | None:
    if form is None:
        return None
    form = dict(form)
    major, minor = (int(part) for part in form.pop("parser", "3.0").split("."))
    rules = tuple(form.pop("rules"))
    _nothing_left(form)
    return AppArmorForm(rules, (major, minor))


def _bpf(form: dict[str, Any] | None) -> BpfForm | None:
    if form is None:
        return None
    form = dict(form)
    made = BpfForm(
        paths=tuple(_path(item) for item in form.pop("paths", ())),
        egress=tuple(form.pop("egress", ())),
        mounts=tuple(MountForm(**item) for item in form.pop("mounts", ())),
        capabilities=tuple(form.pop("capabilities", ())),
        switches=tuple(form.pop("switches", ())),
    )
    unknown = set(made.capabilities) - set(capabilities.NAMES)
    if unknown:
        raise ValueError(f"unknown capabilities {sorted(unknown)}")
    _nothing_left(form)
    return made


def _path(item: dict[str, Any]) -> PathForm:
    form = PathForm(item["pattern"], tuple(item["access"]))
    if not form.access or not _ACCESS.issuperset(form.access):
        raise ValueError(f"access {form.access} of {form.pattern}")
    return form


def _syscall(form: dict[str, Any]) -> SyscallForm:
    made = SyscallForm(
        names=tuple(form.pop("names")),
        errno=form.pop("errno", 1),
        args=tuple(SyscallArg(**arg) for arg in form.pop("args", ())),
        observable=form.pop("observable", True),
    )
    _nothing_left(form)
    return made


def _nothing_left(entry: dict[str, Any]) -> None:
    if entry:
        raise ValueError(f"unknown keys {sorted(entry)}")

# SPDX-License-Identifier: Apache-2.0
"""The JSON of a seccomp profile as OCI, Docker or Podman write it, read and checked entry by entry."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from varmor.errors import VarmorError
from varmor.policy.nearest import did_you_mean
from varmor.policy.types import SyscallArg
from varmor.profile.seccomp_table import ACTIONS, OPERATORS, Action, make_action

MAX_BYTES = 1 << 20
MAX_ENTRIES = 4096
MAX_NAMES = 1024
MAX_ARGS = 64

_TOP = frozenset(
    {
        "defaultAction", "defaultErrnoRet", "defaultErrno", "archMap", "architectures", "syscalls", "flags",
        "listenerPath", "listenerMetadata",
    }
)  # fmt: skip
_ENTRY = frozenset({"name", "names", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"})
_ARG = frozenset({"index", "value", "valueTwo", "op"})
_CONDITION = frozenset({"caps", "arches", "minKernel"})
_ARCH_MAP = frozenset({"architecture", "subArchitectures"})
_FLAGS = frozenset(
    {
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    }
)
_ARCHITECTURE = re.compile(r"SCMP_ARCH_[A-Z0-9_]{1,24}")
_SYSCALL = re.compile(r"[A-Za-z0-9_]{1,64}")
_CAPABILITY = re.compile(r"CAP_[A-Z0-9_]{1,32}")
_KERNEL = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,6})?")
_MAX_ERRNO = 4095


class SeccompImportError(VarmorError):
    """Text that is not a seccomp profile. The message begins with the JSON path."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``includes`` or ``excludes``: what a node and a workload have. Empty fields ask nothing."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    min_kernel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A ``syscalls[]`` entry with its conditions."""

    names: tuple[str, ...]
    action: Action
    args: tuple[SyscallArg, ...]
    includes: Condition
    excludes: Condition


@dataclass(frozen=True, slots=True)
class Source:
    """A seccomp profile before it is resolved for a node. ``architectures`` is None where the profile names none."""

    default: Action
    architectures: tuple[str, ...] | None
    arch_map: tuple[tuple[str, tuple[str, ...]], ...]
    flags: tuple[str, ...]
    entries: tuple[SourceEntry, ...]


def read_source(source: str | Mapping[str, Any]) -> Source:
    """Read a profile from its text, or from the JSON object.

    Raises:
        SeccompImportError: not JSON, too large, an unknown field or word, a value of the wrong kind.
    """
    top = _members(_load(source) if isinstance(source, str) else source, "$", _TOP)
    for field in ("listenerPath", "listenerMetadata"):
        if top.get(field):
            raise _error(f"$.{field}", "asks for a listener, which a profile has not: remove it")
    if "defaultAction" not in top:
        raise _error("$", f"has no defaultAction; expected one of {', '.join(ACTIONS)}")
    default = _action(top, "$", "defaultAction", ("defaultErrnoRet", "defaultErrno"))
    architectures = _words(top, "$", "architectures", _ARCHITECTURE, "an architecture such as SCMP_ARCH_X86_64")
    arch_map = _arch_map(top)
    if architectures and arch_map:
        raise _error("$.architectures", "archMap is there too: keep one of them")
    return Source(
        default=default,
        architectures=architectures or None,
        arch_map=arch_map,
        flags=_flags(top),
        entries=tuple(
            _entry(item, f"$.syscalls[{index}]") for index, item in enumerate(_list(top, "$", "syscalls", MAX_ENTRIES))
        ),
    )


def _error(path: str, problem: str) -> SeccompImportError:
    return SeccompImportError(f"{path}: {problem}")


def _load(text: str) -> Any:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise _error("$", f"the profile is larger than {MAX_BYTES} bytes")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise _error("$", f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except (RecursionError, ValueError) as error:
        raise _error("$", f"not JSON that a seccomp profile could be: {str(error)[:80]}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _error("$", f"an object has the field {twice[:40]!r} twice: keep one of them")
    return made


def _members(value: Any, path: str, known: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _error(path, f"found {_shown(value)}; expected an object")
    known = tuple(sorted(known))
    for name in value:
        if name not in known:
            raise _error(
                path,
                f"unknown field {str(name)[:40]!r}{did_you_mean(str(name), known)}; expected {', '.join(known)}",
            )
    return value


def _list(holder: Mapping[str, Any], path: str, field: str, most: int) -> list[Any]:
    found = holder.get(field)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _error(f"{path}.{field}", f"found {_shown(found)}; expected a list")
    if len(found) > most:
        raise _error(f"{path}.{field}", f"has {len(found)} entries; at most {most} are read")
    return found


def _words(holder: Mapping[str, Any], path: str, field: str, form: re.Pattern[str], what: str) -> tuple[str, ...]:
    words = _list(holder, path, field, MAX_NAMES)
    for index, word in enumerate(words):
        if not isinstance(word, str) or not form.fullmatch(word):
            raise _error(f"{path}.{field}[{index}]", f"found {_shown(word)}; expected {what}")
    return tuple(dict.fromkeys(words))


def _shown(value: Any) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float) else f"a JSON {type(value).__name__}"


def _number(holder: Mapping[str, Any], path: str, field: str, most: int) -> int:
    found = holder.get(field)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= most:
        raise _error(f"{path}.{field}", f"found {_shown(found)}; expected a number from 0 to {most}")
    return found


def _action(holder: Mapping[str, Any], path: str, field: str, errno_fields: tuple[str, str]) -> Action:
    name = holder.get(field)
    if name == "SCMP_ACT_NOTIFY":
        raise _error(f"{path}.{field}", "SCMP_ACT_NOTIFY needs a listener, which a profile has not: use another")
    if name not in ACTIONS:
        hint = did_you_mean(name, ACTIONS) if isinstance(name, str) else ""
        raise _error(f"{path}.{field}", f"found {_shown(name)}{hint}; expected one of {', '.join(ACTIONS)}")
    number = _errno(holder, path, *errno_fields)
    made = make_action(name, number)
    if number is not None and made.errno is None and number != errno.EPERM:
        raise _error(f"{path}.{errno_fields[0]}", f"{name} returns no number: remove it")
    return made


def _errno(holder: Mapping[str, Any], path: str, number_field: str, name_field: str) -> int | None:
    number = None if holder.get(number_field) is None else _number(holder, path, number_field, _MAX_ERRNO)
    name = holder.get(name_field)
    if name in (None, ""):
        return number
    named = getattr(errno, name, None) if isinstance(name, str) and name in errno.errorcode.values() else None
    if not isinstance(named, int):
        raise _error(f"{path}.{name_field}", f"found {_shown(name)}; expected the name of an error such as EPERM")
    if number is not None and number != named:
        raise _error(f"{path}.{name_field}", f"{name} is {named}, but {number_field} says {number}: keep one of them")
    return named


def _arch_map(top: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    made: list[tuple[str, tuple[str, ...]]] = []
    what = "an architecture such as SCMP_ARCH_X86_64"
    for index, item in enumerate(_list(top, "$", "archMap", MAX_NAMES)):
        path = f"$.archMap[{index}]"
        members = _members(item, path, _ARCH_MAP)
        native = members.get("architecture")
        if not isinstance(native, str) or not _ARCHITECTURE.fullmatch(native):
            raise _error(f"{path}.architecture", f"found {_shown(native)}; expected {what}")
        made.append((native, _words(members, path, "subArchitectures", _ARCHITECTURE, what)))
    return tuple(made)


def _flags(top: Mapping[str, Any]) -> tuple[str, ...]:
    flags = _words(top, "$", "flags", re.compile(r"\w{1,64}"), "a flag")
    for index, flag in enumerate(flags):
        if flag not in _FLAGS:
            raise _error(f"$.flags[{index}]", f"unknown flag {flag!r}; expected one of {', '.join(sorted(_FLAGS))}")
    return flags


def _entry(item: Any, path: str) -> SourceEntry:
    members = _members(item, path, _ENTRY)
    what = "the name of a syscall"
    names = _words(members, path, "names", _SYSCALL, what)
    if members.get("name"):
        if names:
            raise _error(f"{path}.name", "names is there too: keep one of them")
        names = _words({"name": [members["name"]]}, path, "name", _SYSCALL, what)
    if not names:
        raise _error(path, "names no syscall")
    if not isinstance(members.get("comment", ""), str):
        raise _error(f"{path}.comment", f"found {_shown(members['comment'])}; expected text")
    return SourceEntry(
        names=names,
        action=_action(members, path, "action", ("errnoRet", "errno")),
        args=_each(_list(members, path, "args", MAX_ARGS), f"{path}.args", _arg),
        includes=_condition(members.get("includes"), f"{path}.includes"),
        excludes=_condition(members.get("excludes"), f"{path}.excludes"),
    )


def _each(items: list[Any], path: str, read: Callable[[Any, str], SyscallArg]) -> tuple[SyscallArg, ...]:
    return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(items))


def _arg(item: Any, path: str) -> SyscallArg:
    members = _members(item, path, _ARG)
    operator = members.get("op")
    if operator not in OPERATORS:
        hint = did_you_mean(operator, OPERATORS) if isinstance(operator, str) else ""
        raise _error(f"{path}.op", f"found {_shown(operator)}{hint}; expected one of {', '.join(OPERATORS)}")
    largest = (1 << 64) - 1
    second = 0 if members.get("valueTwo") is None else _number(members, path, "valueTwo", largest)
    value = _number(members, path, "value", largest)
    if operator == "SCMP_CMP_MASKED_EQ" and second & ~value:
        raise _error(f"{path}.valueTwo", f"{second:#x} has bits outside the mask {value:#x}: never true")
    # The runtimes hand valueTwo on only where it means something; elsewhere it says nothing.
    return SyscallArg(
        _number(members, path, "index", 5), value, operator, second if operator == "SCMP_CMP_MASKED_EQ" else 0
    )


def _condition(value: Any, path: str) -> Condition:
    if value is None:
        return Condition()
    members = _members(value, path, _CONDITION)
    kernel = members.get("minKernel")
    least: tuple[int, int] | None = None
    if kernel not in (None, ""):
        found = _KERNEL.fullmatch(kernel) if isinstance(kernel, str) else None
        if found is None:
            raise _error(f"{path}.minKernel", f"found {_shown(kernel)}; expected a release such as 4.8")
        least = (int(found[1]), int(found[2]))
    return Condition(
        caps=_words(members, path, "caps", _CAPABILITY, "a capability such as CAP_SYS_ADMIN"),
        arches=_words(members, path, "arches", re.compile(r"[a-z0-9_]{1,16}"), "an architecture such as amd64"),
        min_kernel=least,
    )

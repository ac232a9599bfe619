# SPDX-License-Identifier: Apache-2.0
"""AppArmor text as rules that can be compared and asked: paths with their permissions, and all other statements.

It reads what varmor writes and what people write in raw rules and custom profiles: one profile, and child profiles in
it. It does not replace apparmor_parser: what it does not understand stays as text and is compared as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from varmor.advice.path_rules import PathRules, PathVerdictRule

_HEADER = re.compile(r"^(?:profile\s+)?(?P<name>\S+)(?P<rest>[^{]*)\{$")
_QUALIFIERS = frozenset({"audit", "deny", "allow", "quiet", "owner", "priority"})
_PATH_FIRST = re.compile(r'^(?P<path>"[^"]+"|[/@{]\S*)\s+(?P<permissions>[rwaklmixpPuUcC]+)(?:\s*->.*)?$')
_PATH_LAST = re.compile(r'^(?P<permissions>[rwaklmixpPuUcC]+)\s+(?P<path>"[^"]+"|[/@{]\S*)(?:\s*->.*)?$')
_PERMISSIONS = {"r": "read", "w": "write", "a": "append", "x": "exec", "m": "map", "l": "link", "k": "lock"}
_ALL = frozenset(_PERMISSIONS.values())
_ORIGIN = re.compile(r"[\w.\[\]-]+")  # the name of a rule or of a field
_TRANSITION = re.compile(r'^(?P<path>"[^"]+"|\S+)\s+[pPcC]x\s*->\s*(?P<into>\S+)$')
# What tunables/global says of the variables that profiles use, as far as a container or service sees it.
_VARIABLES = {
    "@{PROC}": "/proc",
    "@{sys}": "/sys",
    "@{HOME}": "/{root,home/*}",
    "@{HOMEDIRS}": "/home/",
    "@{run}": "{/run,/var/run}",
    "@{pid}": "[1-9]*",
    "@{pids}": "[1-9]*",
    "@{tid}": "[1-9]*",
    "@{multiarch}": "*-linux-gnu*",
    "@{etc_ro}": "{/usr/etc,/etc}",
    "@{etc_rw}": "/etc",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A rule that is not about a path: its text without qualifiers, and what it does."""

    body: str
    deny: bool
    audit: bool
    origin: str = field(default="", compare=False)


@dataclass(slots=True)
class Section:
    """A profile or child profile, and the name of the whole. ``executables`` lead into a child profile.

    ``stacks`` tells of a profile that stays in force beside the child profiles that it leads into.
    """

    name: str = ""
    profile: str = ""
    complain: bool = False
    executables: tuple[str, ...] = ()
    stacks: bool = False
    paths: list[PathVerdictRule] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    def path_rules(self) -> PathRules:
        """The path rules with AppArmor's default: what is not allowed is refused (recorded only, in complain mode)."""
        denied = frozenset() if self.complain else _ALL
        return PathRules(tuple(self.paths), denied, _ALL, silent_deny=True)


def sections(text: str) -> list[Section]:
    """The profile of a text, then its child profiles, in order."""
    found: list[Section] = []
    open_: list[Section] = []
    entries: dict[str, list[str]] = {}
    for line, origin in _lines(text):
        header = _HEADER.match(line)
        if header:
            name = header["name"].strip('"')
            made = Section(name, found[0].name if found else name, "complain" in header["rest"])
            found.append(made)
            open_.append(made)
        elif line == "}":
            if open_:
                open_.pop()
        elif open_:
            _read(open_[-1], line, origin, entries)
    for section in found[1:]:
        section.executables = tuple(entries.get(section.name, ()))
        if found[0].stacks:
            _stack(found[0], section)
    return found


def _stack(parent: Section, child: Section) -> None:
    """Both hold: what the child refuses comes on top of the parent's rules. Its own allowances add nothing."""
    child.paths = [*parent.paths, *(rule for rule in child.paths if rule.deny or rule.audit)]
    child.statements = [*parent.statements, *(rule for rule in child.statements if rule.deny or rule.audit)]


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Statements on one line each, without comma, with the comment above them that names their origin."""
    origin = ""
    waiting = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#"):
            if not line.startswith("#include"):
                comment = line.lstrip("# ").strip()
                origin = comment if _ORIGIN.fullmatch(comment) else ""
            continue
        if not line:
            if not waiting:
                origin = ""
            continue
        waiting = f"{waiting} {line}".strip()
        if waiting.endswith((",", "{", "}")):
            yield waiting.removesuffix(","), origin
            waiting = ""
    if waiting:
        yield waiting, origin


def _read(section: Section, line: str, origin: str, entries: dict[str, list[str]]) -> None:
    words = line.split()
    qualifiers = set()
    while words and (words[0] in _QUALIFIERS or words[0].startswith("priority=")):
        qualifiers.add(words.pop(0))
    body = " ".join(words)
    if not body or body.startswith(("include", "abi ", "set rlimit")):
        return
    deny, audit = "deny" in qualifiers, "audit" in qualifiers
    into = _TRANSITION.match(body)
    if into:
        entries.setdefault(into["into"].strip('"').rpartition("//")[2], []).append(into["path"].strip('"'))
        section.stacks = section.stacks or "//&" in into["into"]
    rule = _path_rule(body, deny=deny, audit=audit, origin=origin)
    if rule is not None:
        section.paths.append(rule)
    else:
        section.statements += [Statement(single, deny, audit, origin) for single in _singles(body)]


def _singles(body: str) -> list[str]:
    """A rule about several capabilities as one for each."""
    first, *rest = body.split()
    return [f"{first} {name}" for name in rest] if first == "capability" and rest else [body]


def _path_rule(body: str, *, deny: bool, audit: bool, origin: str) -> PathVerdictRule | None:
    if body == "file":
        return PathVerdictRule("/**", _ALL, deny=deny, audit=audit, allow=not deny, origin=origin)
    match = _PATH_FIRST.match(body.removeprefix("file ")) or _PATH_LAST.match(body.removeprefix("file "))
    if match is None:
        return None
    access = {_PERMISSIONS[letter] for letter in match["permissions"] if letter in _PERMISSIONS}
    if re.search(r"[ipPuUcC]", match["permissions"]):
        access.add("exec")
    if "write" in access:
        access.add("append")
    pattern = _expand(match["path"].strip('"'))
    if pattern is None or not access:
        return None
    return PathVerdictRule(pattern, frozenset(access), deny=deny, audit=audit, allow=not deny, origin=origin)


def _expand(path: str) -> str | None:
    """The path without variables; None when one is not known."""
    for name, value in _VARIABLES.items():
        path = path.replace(name, value)
    return None if "@{" in path else re.sub(r"(?<!^)//+", "/", path)

# SPDX-License-Identifier: Apache-2.0
"""AppArmor in mode DefenseInDepth: a whole profile, given as text, becomes the policy's profile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from varmor.policy.types import Policy
from varmor.profile.apparmor import declared_abi
from varmor.profile.apparmor_base import FLAGS, own_label
from varmor.profile.apparmor_blocks import Block, Structure, error_at, structure
from varmor.profile.apparmor_children import raw_lines
from varmor.profile.apparmor_lines import Origin, defused, marked, text_error
from varmor.profile.apparmor_raw import RawTextError
from varmor.profile.executables import RawText
from varmor.profile.types import NodeFacts

RAW_FIELD = "spec.policy.defenseInDepth.appArmor.appArmorRawRules"
_FLAGS = re.compile(r"(?:\bflags\s*=\s*|(?<=\s))\((?P<flags>[^()]*)\)\s*$")
# Flags that say a profile's mode. A profile has one.
_MODES = re.compile(r"enforce|complain|kill(\..*)?|unconfined|prompt|default_allow|error=.*")


def defense_text(policy: Policy, name: str, text: str, facts: NodeFacts, *, complain: bool, field: str) -> str:
    """The policy's profile ``name``, made of the one in ``text``, which ``field`` of the manifest holds.

    It gets the policy's name and is not attached to a path any more: only the policy's targets run under it. Where it
    names itself as a peer, its new name stands, also stacked. The policy's ``appArmorRawRules`` are added as its last
    rules. With ``complain`` nothing is refused and everything is recorded, what it denies in so many words included.

    Raises:
        PolicyError: the text holds no profile or several, or its blocks are not closed.
    """
    defense = policy.defense_in_depth
    raw = defense.apparmor.raw_rules if defense and defense.apparmor else ()
    added = [RawText(f"{RAW_FIELD}[{number}].rules", item.rules) for number, item in enumerate(raw)]
    try:
        made = _Rewriting("\n".join(defused(text)), name, complain=complain).text(added)
    except RawTextError as error:
        raise text_error(policy, Origin(field, error.line), error.problem) from error
    lines = ["# Made by varmor from a policy. Changes are overwritten."]
    abi = declared_abi(facts)
    if abi and not structure(text).abi:
        lines.append(f"abi <abi/{abi}>,")
    return "\n".join([*lines, *marked(field, made.split("\n")), ""])


@dataclass(frozen=True, slots=True)
class _Edit:
    begin: int
    end: int
    text: str


class _Rewriting:
    """The changes to one text. Every line keeps its number, but for the rules that are added."""

    def __init__(self, text: str, name: str, *, complain: bool) -> None:
        self._text = text
        self._name = name
        self._complain = complain

    def text(self, raw: Sequence[RawText]) -> str:
        found = structure(self._text)
        profile = self._profile(found)
        edits = [_Edit(block.header[0].begin, block.opened, self._header(block)) for block in _profiles(found)]
        if self._complain:
            edits += self._denials(found)
        if raw:
            edits.append(_Edit(profile.closed, profile.closed, self._added(profile, raw)))
        return self._renamed(profile, _edited(self._text, edits))

    def _profile(self, found: Structure) -> Block:
        """The only profile of the text."""
        outer = [block for block in found.blocks if not block.depth]
        if not outer:
            raise error_at(self._text, 0, "no profile in this text; expected one: `profile NAME { rules }`")
        if len(outer) > 1:
            names = ", ".join(_name(block) for block in outer)
            problem = f"{len(outer)} profiles in this text ({names}); expected one: a workload gets one profile"
            raise error_at(self._text, outer[1].opened, problem)
        if outer[0].condition or outer[0].header[0].text in ("hat",) or outer[0].header[0].text.startswith("^"):
            words = " ".join(word.text for word in outer[0].header)
            raise error_at(self._text, outer[0].opened, f"expected a profile, found {words[:80]!r}")
        return outer[0]

    def _header(self, block: Block) -> str:
        old = self._text[block.header[0].begin : block.opened]
        given = _FLAGS.search(old)
        flags = [flag for flag in re.split(r"[\s,]+", given["flags"]) if flag] if given else []
        if self._complain:
            flags = [flag for flag in flags if not _MODES.fullmatch(flag)] + ["complain"]
        said = f"flags=({','.join(dict.fromkeys((*flags, *FLAGS)))}) "
        if block.depth:
            return (old[: given.start()] if given else old).rstrip() + f" {said}" + "\n" * _lines_lost(old, given)
        return f"profile {self._name} {said}" + "\n" * old.count("\n")

    def _added(self, profile: Block, raw: Sequence[RawText]) -> str:
        before = self._text[self._text.rfind("\n", 0, profile.closed) + 1 : profile.closed]
        lines = [f"  {line}" if line else "" for item in raw for line in raw_lines(self._recording(item))]
        return "\n".join(["", *lines, ""] if before.strip() else [*lines, ""])

    def _recording(self, raw: RawText) -> RawText:
        return replace(raw, text=_edited(raw.text, self._denials(structure(raw.text)))) if self._complain else raw

    def _denials(self, found: Structure) -> list[_Edit]:
        """Denials that are recorded: a mere `deny` would refuse in complain mode too."""
        return [_Edit(word.begin, word.begin, "audit ") for word in found.denials]

    def _renamed(self, profile: Block, text: str) -> str:
        """The profile's new name wherever rules name it: as a peer, or as a part of the name of a child or hat."""
        old = re.escape(_name(profile))
        pattern = re.compile(
            rf'(?P<before>\b(?:peer|label)=|->\s*&?|//&)(?P<quote>"?){old}(?:(?P<child>//[^\s,)])|(?P=quote)(?=[\s,)]|$))'
        )

        def new(match: re.Match[str]) -> str:
            if match["child"]:
                return f"{match['before']}{match['quote']}{self._name}{match['child']}"
            peer = match["before"].endswith("=")
            return match["before"] + (own_label(self._name) if peer else self._name)

        return pattern.sub(new, text)


def _profiles(found: Structure) -> Iterable[Block]:
    return (block for block in found.blocks if not block.condition)


def _name(block: Block) -> str:
    """The name in a header: its first word but `profile`."""
    words = [word.text for word in block.header]
    return (words[1] if words[0] == "profile" and len(words) > 1 else words[0]).strip('"')


def _lines_lost(old: str, given: re.Match[str] | None) -> int:
    """How many line breaks a nested header loses when its flags, and the space around them, are written anew."""
    kept = (old[: given.start()] if given else old).rstrip()
    return old.count("\n") - kept.count("\n")


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda item: (item.begin, item.end)):
        parts += [text[at : edit.begin], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])

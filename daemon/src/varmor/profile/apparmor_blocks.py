# SPDX-License-Identifier: Apache-2.0
"""The blocks of a whole AppArmor text: profiles, child profiles, hats; where they begin, what their headers say.

Only as much of the grammar is read as is needed to change headers and to add rules; the rest is apparmor_parser's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from varmor.profile.apparmor_raw import RawTextError

_QUALIFIERS = frozenset({"audit", "quiet", "allow", "deny", "owner", "other"})
_TO_END_OF_LINE = re.compile(
    r"(#\s*include|include|@\{\w+\}\s*\+?=|\$\w+\s*\+?=|\$\{\w+\}\s*\+?=)(?=\s|<|\"|/|=|\w|\{|$)"
)
_CONDITIONS = frozenset({"if", "else"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a header or rule, with the offsets of its begin and end."""

    text: str
    begin: int
    end: int


@dataclass(slots=True)
class Block:
    """A block in braces: the words before it, the offsets of its braces, and how many blocks are around it."""

    header: tuple[Word, ...]
    opened: int
    depth: int
    closed: int = -1

    @property
    def condition(self) -> bool:
        """Whether it is the block of an ``if`` or ``else``, and no profile."""
        return self.header[0].text in _CONDITIONS


@dataclass(slots=True)
class Structure:
    """What was found in a text: the blocks as they begin, and the words ``deny`` of rules without ``audit``."""

    blocks: list[Block] = field(default_factory=list)
    denials: list[Word] = field(default_factory=list)
    abi: bool = False


def structure(text: str) -> Structure:
    """Find the blocks of a text.

    Raises:
        RawTextError: a quote or a block that is not closed, a brace too many, or a block without a header.
    """
    return _Reader(text).read()


def error_at(text: str, offset: int, problem: str) -> RawTextError:
    """An error about the place ``offset`` of the text."""
    line = text.count("\n", 0, offset) + 1
    return RawTextError(problem, line, offset - (text.rfind("\n", 0, offset) + 1) + 1)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found = Structure()
        self._open: list[Block] = []
        self._words: list[Word] = []
        self._parentheses = 0

    def read(self) -> Structure:
        while self._at < len(self._text):
            self._next()
        if self._open:
            raise error_at(self._text, self._open[-1].opened, "the block that begins here is not closed by '}'")
        return self._found

    def _next(self) -> None:
        text, at = self._text, self._at
        if text[at].isspace():
            self._at += 1
        elif not self._words and (line := _TO_END_OF_LINE.match(text, at)):
            self._at = self._end_of_line(line.end())
        elif text[at] == "#":
            self._at = self._end_of_line(at)
        elif text[at] == "{" and not self._parentheses:
            self._begin_block()
        elif text[at] == "}":
            self._end_block()
        else:
            self._word()

    def _end_of_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return end if end >= 0 else len(self._text)

    def _begin_block(self) -> None:
        if not self._words:
            raise error_at(self._text, self._at, "'{' begins a block, but no profile's name stands before it")
        block = Block(tuple(self._words), self._at, len(self._open))
        self._found.blocks.append(block)
        self._open.append(block)
        self._words = []
        self._at += 1

    def _end_block(self) -> None:
        if not self._open:
            raise error_at(self._text, self._at, "'}' without '{'")
        self._open.pop().closed = self._at
        self._words = []
        self._parentheses = 0
        self._at += 1

    def _word(self) -> None:
        begin, ends = self._at, False
        for sign in self._signs():
            if sign == "," and not self._parentheses and self._ends_rule():
                ends = True
                break
        if self._at > begin:
            self._words.append(Word(self._text[begin : self._at], begin, self._at))
        if ends:
            self._at += 1
            self._end_rule()

    def _signs(self) -> Iterator[str]:
        """The signs of one word that stand outside of quotes, braces and classes; leaves the place behind the word."""
        braces = 0
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign.isspace() or (sign == "}" and not braces):
                return
            if sign == "\\":
                self._at += 1
            elif sign == '"':
                self._quote()
            elif sign == "[":
                self._class()
            elif sign in "{}":
                braces += 1 if sign == "{" else -1
            elif sign in "()" and not braces:
                self._parentheses = max(self._parentheses + (1 if sign == "(" else -1), 0)
            elif not braces:
                yield sign
            self._at = min(self._at + 1, len(self._text))
            if sign == ")" and not braces and self._text.startswith("{", self._at):
                return

    def _ends_rule(self) -> bool:
        after = self._text[self._at + 1 : self._at + 2]
        return not after or after.isspace() or after in "}#"

    def _quote(self) -> None:
        begin = self._at
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] not in '"\n':
            self._at += 2 if self._text[self._at] == "\\" else 1
        if self._at >= len(self._text) or self._text[self._at] != '"':
            raise error_at(self._text, begin, "the quote is not closed on its line")

    def _class(self) -> None:
        """Go to the end of ``[...]``; where it has none on its line, the bracket is an ordinary sign."""
        end = re.compile(r"\[\^?\]?(\\.|[^]\\\s])*\]").match(self._text, self._at)
        if end is not None:
            self._at = end.end() - 1

    def _end_rule(self) -> None:
        leading: list[Word] = []
        for word in self._words:
            if word.text not in _QUALIFIERS:
                break
            leading.append(word)
        texts = {word.text for word in leading}
        if "deny" in texts and "audit" not in texts:
            self._found.denials.append(next(word for word in leading if word.text == "deny"))
        if not self._open and self._words and self._words[0].text == "abi":
            self._found.abi = True
        self._words = []

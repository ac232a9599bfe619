# SPDX-License-Identifier: Apache-2.0
"""A structural check of ``appArmorRawRules``: rules only, each ended by a comma, none that leaves the profile's block.

What the rules mean is for apparmor_parser to judge, on the node. This check makes sure that the text cannot change
anything but the inside of its own profile, and finds the common mistakes without a parser, with line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from varmor.errors import VarmorError

_QUALIFIERS = frozenset({"audit", "quiet", "allow", "deny", "owner", "other"})
_KEYWORDS = frozenset(
    {
        "capability", "network", "mount", "remount", "umount", "unmount", "pivot_root", "ptrace", "signal", "dbus",
        "unix", "file", "link", "change_profile", "set", "userns", "mqueue", "io_uring",
    }
)  # fmt: skip
_OUTSIDE = frozenset({"profile", "hat", "include", "abi", "alias", "if", "else"})
_PERMISSIONS = re.compile(r"[rwaklmixpPuUcC]+")


class RawTextError(VarmorError):
    """Raw AppArmor text that cannot stand in a profile; ``line`` and ``column`` count from 1 inside the text."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column} of the rules: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Statement:
    """A rule without its comma; ``line`` and ``column`` count from 1 inside the text."""

    text: str
    line: int
    column: int


def check(text: str) -> int:
    """Check raw rules and return how many there are.

    Raises:
        RawTextError: the first fault, with its place.
    """
    count = 0
    for statement in statements(text):
        _check_statement(statement)
        count += 1
    if not count:
        raise RawTextError("expected at least one rule, found none", 1, 1)
    return count


def statements(text: str) -> Iterator[Statement]:
    """The rules of a text, one by one.

    Raises:
        RawTextError: at the first fault of its structure.
    """
    return _Scanner(text).statements()


def _check_statement(statement: Statement) -> None:
    words = statement.text.split()
    while words and words[0] in _QUALIFIERS:
        words.pop(0)
    if not words:
        raise _error(statement, f"expected a rule before the comma, found {statement.text!r}")
    first = words[0]
    if first in _OUTSIDE or first.startswith("^") or re.match(r"@\{\w+\}\s*\+?=", statement.text):
        raise _error(statement, f"{first!r} is not possible in raw rules: only rules are, not blocks or declarations")
    known = first.split("=")[0] in _KEYWORDS or first.startswith(("/", "@{", '"', "{/"))
    if not known and not (_PERMISSIONS.fullmatch(first) and len(words) > 1):
        raise _error(statement, f"a rule cannot begin with {first[:60]!r}; is a comma missing before it?")


def _error(statement: Statement, problem: str) -> RawTextError:
    return RawTextError(problem, statement.line, statement.column)


class _Scanner:
    """Splits the text at the commas that end rules, minding quotes, globs, lists and comments."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._open: list[tuple[str, int, int]] = []

    def statements(self) -> Iterator[Statement]:
        begin: tuple[int, int, int] | None = None
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign == "#" and self._starts_word():
                self._comment()
                continue
            if begin is None and not sign.isspace():
                begin = (self._at, self._line, self._column())
            if begin is not None and sign == "," and not self._open:
                yield Statement(self._text[begin[0] : self._at].strip(), begin[1], begin[2])
                begin = None
                self._step()
                continue
            self._sign(sign)
        if self._open:
            sign, line, column = self._open[-1]
            raise RawTextError(f"{sign!r} is not closed", line, column)
        if begin is not None:
            found = self._text[begin[0] :].split("\n")[0].strip()
            raise RawTextError(f"the rule {found[:80]!r} does not end with a comma", begin[1], begin[2])

    def _column(self) -> int:
        return self._at - self._line_start + 1

    def _error(self, problem: str) -> RawTextError:
        return RawTextError(problem, self._line, self._column())

    def _step(self) -> None:
        if self._text[self._at] == "\n":
            self._line += 1
            self._line_start = self._at + 1
        self._at += 1

    def _starts_word(self) -> bool:
        return not self._open and (
            self._at == 0 or self._text[self._at - 1].isspace() or self._text[self._at - 1] == ","
        )

    def _comment(self) -> None:
        end = self._text.find("\n", self._at)
        comment = self._text[self._at : end if end >= 0 else len(self._text)]
        if re.match(r"#\s*include\b", comment):
            raise self._error("'#include' is not possible in raw rules: only rules are, not blocks or declarations")
        self._at = self._at + len(comment)

    def _sign(self, sign: str) -> None:
        if sign == "\\":
            self._step()
            if self._at < len(self._text):
                self._step()
        elif sign == '"':
            self._quoted()
        else:
            self._bracket(sign)
            self._step()

    def _quoted(self) -> None:
        line, column = self._line, self._column()
        self._step()
        while self._at < len(self._text) and self._text[self._at] != '"':
            if self._text[self._at] == "\n":
                break
            self._step()
            if self._text[self._at - 1] == "\\" and self._at < len(self._text):
                self._step()
        if self._at >= len(self._text) or self._text[self._at] != '"':
            raise RawTextError("the quote is not closed on its line", line, column)
        self._step()

    def _bracket(self, sign: str) -> None:
        closing = {"}": "{", "]": "[", ")": "("}
        inside_class = bool(self._open) and self._open[-1][0] == "["
        if inside_class and sign != "]":
            if sign.isspace():
                raise self._error("a space inside '[...]'; quote the whole path if it is meant")
            return
        if sign == "{" and not self._is_glob():
            raise self._error("'{' begins a block, which is not possible in raw rules")
        if sign in "{[(":
            self._open.append((sign, self._line, self._column()))
        elif sign in closing:
            if not self._open or self._open[-1][0] != closing[sign]:
                raise self._error(f"{sign!r} without {closing[sign]!r}")
            self._open.pop()
        elif sign.isspace() and any(opened == "{" for opened, _, _ in self._open):
            raise self._error("a space inside '{...}': this is a block, which is not possible in raw rules")

    def _is_glob(self) -> bool:
        """Whether a ``{`` belongs to a path: a block's brace stands alone or begins a word."""
        before = self._text[self._at - 1] if self._at else " "
        after = self._text[self._at + 1] if self._at + 1 < len(self._text) else " "
        return not after.isspace() and ((not before.isspace() and before not in ",}") or after in "/,")

# SPDX-License-Identifier: Apache-2.0
"""The path patterns of ``bpfRawRules``: checked, and brought to the one form that the automaton reads.

The language: ``?`` one character but ``/``; ``*`` a run without ``/``; ``**`` any run; ``{a,b}`` alternatives;
``[a-z]`` and ``[^a]`` character classes; a backslash quotes. Upstream's patterns keep their meaning: one with ``*`` and
without ``/`` is about the last component, ``**text`` is about the end of the path, one without wildcards is one path.
"""

from __future__ import annotations

from varmor.errors import VarmorError

MAX_LENGTH = 4095
MAX_ALTERNATIVES = 1024
_MAX_DEPTH = 8


class PatternError(VarmorError):
    """A pattern that is malformed or can never match."""


def canonical(pattern: str) -> str:
    """The pattern as an absolute one.

    Raises:
        PatternError: it is malformed, relative, too long, or can never match a path.
    """
    _check_characters(pattern)
    _Scanner(pattern).check()
    if pattern.startswith("**"):
        rest = pattern.lstrip("*")
        absolute = f"/{{,**/}}{rest[1:]}" if rest.startswith("/") and len(rest) > 1 else f"/**{rest}"
    elif "/" not in pattern and "*" in pattern:
        absolute = f"/{{,**/}}{pattern}"
    else:
        absolute = pattern
    if not absolute.startswith("/"):
        raise PatternError(
            f"the pattern {pattern!r} is relative and can never match; expected a full path such as /etc/**, or a name "
            "with a wildcard such as *.sh"
        )
    _check_matchable(absolute, pattern)
    return absolute


def quoted(text: str) -> str:
    """A pattern that means exactly ``text``."""
    return "".join(f"\\{sign}" if sign in "\\*?[]{}," else sign for sign in text)


def source_pattern(pattern: str) -> str:
    """The pattern of a mount's source. Beside paths there are names, such as ``overlay`` or ``tmpfs``.

    A pattern with a wildcard and without ``/`` is about names and about the last component of paths.

    Raises:
        PatternError: it is malformed, too long, or can never match.
    """
    if pattern.startswith("**") and "/" not in pattern:
        _check_characters(pattern)
        _Scanner(pattern).check()
        return pattern
    if pattern and "/" not in pattern:
        _check_characters(pattern)
        _Scanner(pattern).check()
        return f"{{,/**/,/}}{pattern}" if "*" in pattern else pattern
    return canonical(pattern)


def _check_characters(pattern: str) -> None:
    try:
        length = len(pattern.encode())
    except UnicodeEncodeError as error:
        raise PatternError(f"the pattern {pattern!r} is not valid Unicode") from error
    if length > MAX_LENGTH:
        raise PatternError(f"the pattern has {length} bytes; a path has at most {MAX_LENGTH}")
    if "\0" in pattern or "\n" in pattern:
        raise PatternError(f"the pattern {pattern!r} holds a NUL or a line feed")


def _check_matchable(absolute: str, pattern: str) -> None:
    parts = absolute.split("/")
    if absolute != "/" and parts[-1] == "":
        raise PatternError(
            f"the pattern {pattern!r} ends with '/' and can never match; write {absolute.rstrip('/')!r} for the "
            f"directory or {absolute.rstrip('/') + '/**'!r} for what is in it"
        )
    for part in parts[1:]:
        if part in ("", ".", "..") and absolute != "/":
            raise PatternError(f"the pattern {pattern!r} has the component {part!r} and can never match a real path")


class _Scanner:
    """Checks quoting, braces and brackets, and counts what the braces expand to."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def check(self) -> None:
        if self._sequence(0) > MAX_ALTERNATIVES:
            raise self._error(f"expands to more than {MAX_ALTERNATIVES} alternatives; split it")

    def _error(self, problem: str) -> PatternError:
        return PatternError(f"the pattern {self._pattern!r} {problem}")

    def _sequence(self, depth: int) -> int:
        count = 1
        while self._at < len(self._pattern):
            sign = self._pattern[self._at]
            if sign == "}" or (sign == "," and depth):
                if not depth:
                    raise self._error(f"has a '}}' without '{{' at character {self._at + 1}; quote it as \\}}")
                return count
            self._at += 1
            if sign == "\\":
                self._quoted()
            elif sign == "[":
                self._bracket()
            elif sign == "{":
                count = min(count * self._alternatives(depth + 1), MAX_ALTERNATIVES + 1)
        return count

    def _quoted(self) -> None:
        if self._at == len(self._pattern):
            raise self._error("ends with a lone backslash")
        self._at += 1

    def _alternatives(self, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise self._error(f"nests braces deeper than {_MAX_DEPTH}")
        start = self._at
        count = self._sequence(depth)
        while self._at < len(self._pattern) and self._pattern[self._at] == ",":
            self._at += 1
            count += self._sequence(depth)
        if self._at == len(self._pattern):
            raise self._error(f"has a '{{' without '}}' at character {start}")
        self._at += 1
        return count

    def _bracket(self) -> None:
        start = self._at
        end = start + 1 if self._pattern[start : start + 1] == "^" else start
        # A class needs a member, and the first one may be ']' itself only when quoted: no surprises.
        while end < len(self._pattern) and self._pattern[end] != "]":
            end += 2 if self._pattern[end] == "\\" else 1
        if end >= len(self._pattern):
            raise self._error(f"has a '[' without ']' at character {start}")
        body = self._pattern[start:end].removeprefix("^")
        if not body:
            raise self._error(f"has an empty character class at character {start}")
        self._check_ranges(body, start)
        self._at = end + 1

    def _check_ranges(self, body: str, start: int) -> None:
        if "\\" in body:
            raise self._error(f"has a backslash inside the character class at character {start}; leave it out")
        if "/" in body:
            raise self._error(f"has a '/' inside the character class at character {start}; a class never matches it")
        if not body.isascii():
            raise self._error(f"has a character beyond ASCII inside the class at character {start}; use {{a,b}}")
        for low, dash, high in zip(body, body[1:], body[2:], strict=False):
            if dash == "-" and low > high:
                raise self._error(f"has the backward range {low}-{high}")

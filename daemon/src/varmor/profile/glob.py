# SPDX-License-Identifier: Apache-2.0
"""Path globs as sequences of byte sets: the form that automata are built from.

``?`` one byte but ``/``; ``*`` a run without ``/``; ``**`` any run; ``{a,b}`` alternatives; ``[a-z]`` and ``[^a]`` one
byte of a class, never ``/``; a backslash quotes. Paths are bytes: a character beyond ASCII is several of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from varmor.errors import VarmorError

SLASH = ord("/")
ANY = frozenset(range(1, 256))
NO_SLASH = ANY - {SLASH}
MAX_ALTERNATIVES = 4096
_SEAM = "\0"  # no pattern holds it


class GlobError(VarmorError):
    """A glob that cannot be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One byte of ``bytes_``, or, when ``repeats``, any run of them (the empty run too)."""

    bytes_: frozenset[int]
    repeats: bool = False


def alternatives(pattern: str) -> list[str]:
    """The pattern with its braces expanded, in order.

    Raises:
        GlobError: unbalanced braces, or more than :data:`MAX_ALTERNATIVES` alternatives.
    """
    out: list[str] = []
    for expanded in _expand(pattern, pattern):
        out.append(expanded)
        if len(out) > MAX_ALTERNATIVES:
            raise GlobError(f"the pattern {pattern!r} has more than {MAX_ALTERNATIVES} alternatives; split it")
    return out


def _expand(text: str, whole: str) -> Iterator[str]:
    opening = _find_opening(text, whole)
    if opening is None:
        yield text
        return
    parts, end = _split_braces(text, opening, whole)
    for part in parts:
        yield from _expand(_joined(_joined(text[:opening], part), text[end:]), whole)


def _joined(first: str, second: str) -> str:
    """Both texts in a row. Two ``*`` that only meet here stay two, and do not become a ``**``."""
    return first + (_SEAM if first.endswith("*") and second.startswith("*") else "") + second


def _step(text: str, at: int) -> int:
    """Index after the sign at ``at``: a quoted character and a bracket class are one sign."""
    if text[at] == "\\":
        return at + 2
    if text[at] == "[":
        end = text.find("]", at + 2)
        return end + 1 if end > 0 else at + 1
    return at + 1


def _find_opening(text: str, whole: str) -> int | None:
    at = 0
    while at < len(text):
        if text[at] == "{":
            return at
        if text[at] == "}":
            raise GlobError(f"the pattern {whole!r} has a '}}' without '{{'; quote it as \\}}")
        at = _step(text, at)
    return None


def _split_braces(text: str, opening: int, whole: str) -> tuple[list[str], int]:
    parts: list[str] = []
    depth, at, start = 1, opening + 1, opening + 1
    while at < len(text):
        sign = text[at]
        if sign == "{":
            depth += 1
        elif sign == "," and depth == 1:
            parts.append(text[start:at])
            start = at + 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                parts.append(text[start:at])
                return parts, at + 1
        at = _step(text, at)
    raise GlobError(f"the pattern {whole!r} has a '{{' without '}}'")


def pieces(pattern: str) -> list[Piece]:
    """A pattern without braces as a sequence.

    Raises:
        GlobError: an unfinished class or a lone backslash.
    """
    text = pattern.encode()
    out: list[Piece] = []
    at = 0
    while at < len(text):
        sign = text[at : at + 1]
        at += 1
        if sign == b"\\":
            if at == len(text):
                raise GlobError(f"the pattern {pattern!r} ends with a lone backslash")
            out.append(Piece(frozenset(text[at : at + 1])))
            at += 1
        elif sign == _SEAM.encode():
            continue
        elif sign == b"*":
            wide = text[at : at + 1] == b"*"
            while text[at : at + 1] == b"*":
                at += 1
            out.append(Piece(ANY if wide else NO_SLASH, repeats=True))
        elif sign == b"?":
            out.append(Piece(NO_SLASH))
        elif sign == b"[":
            end = text.find(b"]", at + 1)
            if end < 0:
                raise GlobError(f"the pattern {pattern!r} has a '[' without ']'")
            out.append(Piece(_byte_class(text[at:end], pattern)))
            at = end + 1
        else:
            out.append(Piece(frozenset(sign)))
    return out


def _byte_class(body: bytes, pattern: str) -> frozenset[int]:
    negated = body[:1] == b"^"
    members = body[1:] if negated else body
    if not members or not members.isascii():
        raise GlobError(f"the pattern {pattern!r} has a character class that is empty or not ASCII")
    found: set[int] = set()
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == b"-" and at + 2 < len(members):
            low, high = members[at], members[at + 2]
            if low > high:
                raise GlobError(f"the pattern {pattern!r} has the backward range {chr(low)}-{chr(high)}")
            found |= set(range(low, high + 1))
            at += 3
        else:
            found.add(members[at])
            at += 1
    return NO_SLASH - found if negated else NO_SLASH & found


def regex(pattern: str) -> re.Pattern[bytes]:
    """The same language as a compiled regular expression, for explanations and for tests (use ``fullmatch``)."""
    options = []
    for option in alternatives(pattern):
        text = b""
        for piece in pieces(option):
            # a class that nothing is in (a range within "/") matches nothing
            members = b"".join(b"\\x%02x" % byte for byte in sorted(piece.bytes_))
            text += (b"[" + members + b"]" if members else b"(?!)") + (b"*" if piece.repeats else b"")
        options.append(text)
    return re.compile(b"|".join(b"(?:" + option + b")" for option in options), re.DOTALL)


def is_anchored(pattern: str) -> bool:
    """Whether every alternative names something before its first ``**``: ``/etc/**`` does, ``/**/.ssh`` does not."""
    return all(_names_something(pieces(option)) for option in alternatives(pattern))


def _names_something(sequence: list[Piece]) -> bool:
    for index, piece in enumerate(sequence):
        if piece.repeats and piece.bytes_ == ANY:
            return index > 1
    return True

# SPDX-License-Identifier: Apache-2.0
"""The glob language by its definition, one sign after the other: slow, obvious, and nothing of the product's.

``?`` one byte but ``/``; ``*`` a run without ``/``; ``**`` any run; ``{a,b}`` alternatives; ``[a-z]`` and ``[^a]`` one
byte of a class, never ``/``; a backslash quotes.
"""

from __future__ import annotations

from collections.abc import Callable

Rest = Callable[[int], bool]
"""Whether the rest of the pattern matches from an index of the path on."""

_SLASH = ord("/")


def matches(pattern: str, path: bytes) -> bool:
    """Whether the whole path is in the language of the pattern."""
    return _match(pattern.encode(), 0, len(pattern.encode()), path, 0, lambda at: at == len(path))


def _match(pattern: bytes, at: int, end: int, path: bytes, where: int, rest: Rest) -> bool:
    """Whether pattern[at:end] followed by ``rest`` matches path from ``where`` on."""
    if at == end:
        return rest(where)
    sign = pattern[at : at + 1]

    def following(step: int) -> Rest:
        return lambda index: _match(pattern, at + step, end, path, index, rest)

    if sign == b"*":
        wide = pattern[at : at + 2] == b"**" and at + 1 < end
        return _run(path, where, following(2 if wide else 1), slashes=wide)
    if sign == b"{":
        return _braces(pattern, at, end, path, where, rest)
    if where == len(path):
        return False
    byte = path[where]
    if sign == b"?":
        return byte != _SLASH and following(1)(where + 1)
    if sign == b"[":
        closing = pattern.index(b"]", at + 2)
        return byte != _SLASH and _in_class(pattern[at + 1 : closing], byte) and following(closing + 1 - at)(where + 1)
    if sign == b"\\":
        return byte == pattern[at + 1] and following(2)(where + 1)
    return byte == sign[0] and following(1)(where + 1)


def _run(path: bytes, where: int, rest: Rest, *, slashes: bool) -> bool:
    index = where
    while True:
        if rest(index):
            return True
        if index == len(path) or path[index] == 0 or (path[index] == _SLASH and not slashes):
            return False
        index += 1


def _braces(pattern: bytes, at: int, end: int, path: bytes, where: int, rest: Rest) -> bool:
    """Each alternative in turn, as if it stood in the pattern alone."""
    depth, start, index = 0, at + 1, at
    options: list[bytes] = []
    while True:
        sign = pattern[index : index + 1]
        if sign == b"\\":
            index += 1
        elif sign == b"[":
            index = pattern.index(b"]", index + 2)
        elif sign == b"{":
            depth += 1
        elif sign == b"}":
            depth -= 1
        if (sign == b"," and depth == 1) or (sign == b"}" and depth == 0):
            options.append(pattern[start:index])
            start = index + 1
        if sign == b"}" and depth == 0:
            break
        index += 1
    after = index + 1

    def tail(reached: int) -> bool:
        return _match(pattern, after, end, path, reached, rest)

    return any(_match(option, 0, len(option), path, where, tail) for option in options)


def _in_class(body: bytes, byte: int) -> bool:
    negated = body[:1] == b"^"
    members = body[1:] if negated else body
    found = False
    index = 0
    while index < len(members):
        if members[index + 1 : index + 2] == b"-" and index + 2 < len(members):
            found = found or members[index] <= byte <= members[index + 2]
            index += 3
        else:
            found = found or members[index] == byte
            index += 1
    return found is not negated

# SPDX-License-Identifier: Apache-2.0
"""The command line of an OCI runtime (runc's and crun's), read as far as the wrapper needs it."""

from __future__ import annotations

import os

_GLOBAL_WITH_VALUE = frozenset({"log", "log-format", "root", "criu", "rootless", "cgroup-manager"})
_VERB_WITH_VALUE = frozenset(
    {
        "bundle", "b", "console-socket", "pid-file", "preserve-fds", "config", "f",
        "process", "p", "apparmor", "cwd", "env", "e", "user", "u", "additional-gids", "g", "process-label",
        "cap", "c", "cgroup",
    }
)  # fmt: skip
_LONG = {"b": "bundle", "f": "config", "p": "process", "d": "detach"}
_OPTIONAL_VALUE = frozenset({"rootless"})
_RUN_ONLY = frozenset({"detach", "d", "keep", "no-subreaper"})


class Invocation:
    """One call. ``container_id`` is the verb's first operand; options hold the last value given, by long name."""

    __slots__ = ("container_id", "global_options", "global_words", "options", "verb", "verb_words", "words")

    def __init__(
        self,
        words: list[str],
        global_words: list[str],
        global_options: dict[str, str],
        verb: str = "",
        verb_words: list[str] | None = None,
        options: dict[str, str] | None = None,
        container_id: str = "",
    ) -> None:
        self.words = words
        self.global_words = global_words
        self.global_options = global_options
        self.verb = verb
        self.verb_words = verb_words or []
        self.options = options or {}
        self.container_id = container_id

    @property
    def bundle(self) -> str:
        """Absolute path of the bundle; the working directory when none is given."""
        return os.path.abspath(self.options.get("bundle") or ".")  # noqa: PTH100  pathlib costs start-up time

    @property
    def config(self) -> str:
        """Absolute path of the bundle's configuration."""
        name = self.options.get("config") or "config.json"
        return os.path.join(self.bundle, name)  # noqa: PTH118  as above

    def for_create(self) -> list[str]:
        """The words that make ``create`` of a ``run``."""
        kept = [word for word in self.verb_words if _name(word) not in _RUN_ONLY]
        return [*self.global_words, "create", *kept]


def parse(words: list[str]) -> Invocation:
    """Read a command line. What is not understood is left to the real runtime: it has the last word on errors."""
    end, global_options = _options(words, _GLOBAL_WITH_VALUE)
    if end == len(words):
        return Invocation(words, words, global_options)
    verb_words = words[end + 1 :]
    stop, options = _options(verb_words, _VERB_WITH_VALUE)
    return Invocation(
        words=words,
        global_words=words[:end],
        global_options=global_options,
        verb=words[end],
        verb_words=verb_words,
        options=options,
        container_id=verb_words[stop] if stop < len(verb_words) else "",
    )


def _options(words: list[str], with_value: frozenset[str]) -> tuple[int, dict[str, str]]:
    """Index of the first operand, and the options before it."""
    found: dict[str, str] = {}
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return index + 1, found
        if not word.startswith("-") or word == "-":
            break
        name, equals, value = _name(word), "=" in word, word.partition("=")[2]
        index += 1
        if not equals and word[1] != "-" and len(name) > 1 and name not in with_value and name[0] in with_value:
            name, value, equals = name[0], name[1:], True  # -bDIR, as crun takes it
        if not equals and name in with_value and index < len(words):
            value = words[index]
            index += 1
        found[_LONG.get(name, name)] = value
    return index, found


def _name(word: str) -> str:
    return word.lstrip("-").partition("=")[0] if word.startswith("-") else ""

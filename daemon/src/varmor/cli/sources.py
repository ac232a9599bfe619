# SPDX-License-Identifier: Apache-2.0
"""Policies from files, directories and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from varmor.errors import Location, PolicyError, VarmorError
from varmor.policy.document import MAX_BYTES
from varmor.policy.parse import parse_policies
from varmor.policy.types import Policy

_SUFFIXES = (".yaml", ".yml", ".json")


class SourceError(VarmorError):
    """A file that cannot be read."""


def manifest_files(names: Iterable[str]) -> Iterator[str]:
    """The files that are meant: a directory stands for the manifests in it.

    Raises:
        SourceError: a directory without manifests.
    """
    for name in names:
        path = Path(name)
        if name == "-" or not path.is_dir():
            yield name
            continue
        found = sorted(str(item) for item in path.iterdir() if item.suffix in _SUFFIXES and item.is_file())
        if not found:
            raise SourceError(f"{name}: no manifests ({', '.join(_SUFFIXES)}) in this directory")
        yield from found


def read_policies(name: str) -> list[Policy]:
    """The policies of one file, or of standard input for ``-``.

    Raises:
        SourceError: the file cannot be read.
        PolicyError: it is too large, not UTF-8, or a policy is wrong.
    """
    source = "<stdin>" if name == "-" else name
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise PolicyError(f"the manifest is larger than {MAX_BYTES} bytes; split it", where=Location(source))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(f"not UTF-8 text: {error}", where=Location(source)) from error
    return parse_policies(text, source)

# SPDX-License-Identifier: Apache-2.0
"""Policies from files, directories and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from varmor.catalog.loader import load
from varmor.errors import Location, PolicyError, VarmorError
from varmor.policy.document import MAX_BYTES
from varmor.policy.manifests import Manifests, parse_manifests
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts, Profile

_SUFFIXES = (".yaml", ".yml", ".json")


class SourceError(VarmorError):
    """A file that cannot be read, or holds nothing that is asked for."""


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


def read_manifests(name: str) -> Manifests:
    """The objects of one file, or of standard input for ``-``.

    Raises:
        SourceError: the file cannot be read.
        PolicyError: it is too large, not UTF-8, or an object is wrong.
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
    return parse_manifests(text, source)


def read_all(names: Iterable[str]) -> Manifests:
    """The objects of all files.

    Raises:
        SourceError, PolicyError: as :func:`read_manifests`; the first fault ends it.
    """
    found = [read_manifests(name) for name in manifest_files(names)]
    return Manifests(
        tuple(policy for part in found for policy in part.policies),
        tuple(model for part in found for model in part.models),
    )


def compile_all(names: Sequence[str], facts: NodeFacts) -> list[Profile]:
    """The profiles of all policies in the files, in their order.

    Raises:
        SourceError: a file cannot be read, or there is no policy in all of them.
        PolicyError: a policy is wrong.
    """
    manifests = read_all(names)
    if not manifests.policies:
        raise SourceError(f"{', '.join(names)}: no policy in it")
    return [compile_policy(policy, load(), facts, manifests.models) for policy in manifests.policies]

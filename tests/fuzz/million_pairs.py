# SPDX-License-Identifier: Apache-2.0
"""Random pattern sets and paths: the automaton against the reference matcher, on all processors.

Prints how many pairs were compared. A disagreement is printed with the seed that leads to it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
from collections.abc import Iterator

from tests.fuzz.reference_matcher import matches
from varmor.errors import VarmorError
from varmor.profile.automaton import TooManyStatesError, build
from varmor.profile.pattern import canonical

_NAMES = ("a", "b", "ab", "etc", "passwd", "proc", "x.sh", "s\\*r", "é")
_PIECES = (
    *_NAMES,
    "*",
    "**",
    "?",
    "a*",
    "*b",
    "**a",
    "[ab]",
    "[^a]",
    "[a-c]x",
    "{a,b}",
    "{,a/}b",
    "{a*,b**}c",
    "a{b,{c,d}}",
    "{a*,b}*",
    "*{*,b}",
)
_PATHS_OF_A_SET = 100
_MAX_STATES = 20_000


def pattern_of(source: random.Random) -> str:
    """A pattern of one to four components, anchored or not."""
    parts = [source.choice(_PIECES) for _ in range(source.randint(1, 4))]
    joined = "/".join(parts)
    return source.choice(("/", "/", "/", "/**/", "/{,**/}", "**")) + joined


def path_of(source: random.Random, patterns: list[str]) -> bytes:
    """A path, often a near miss of a pattern: signs of the pattern stand for themselves or for short texts."""
    if source.random() < 0.3:
        return ("/" + "/".join(source.choice(_NAMES) for _ in range(source.randint(1, 4)))).encode()
    out = []
    for sign in source.choice(patterns):
        out.append(source.choice(("", "a", "b", "/", "ab", "c/d", sign)) if sign in "*?[]{},^-\\" else sign)
        if source.random() < 0.03:
            out.append(source.choice(("a", "/", "b", "\x01", "é")))
    text = "".join(out)
    return (text if text.startswith("/") else "/" + text).replace("\0", "").encode()


def _pattern_sets(source: random.Random, wanted: int) -> Iterator[list[str]]:
    made = 0
    while made < wanted:
        patterns = []
        for _ in range(source.randint(1, 6)):
            try:
                patterns.append(canonical(pattern_of(source)))
            except VarmorError:
                continue
        if patterns:
            made += 1
            yield patterns


def compare(seed: int, pairs: int) -> tuple[int, int, list[str]]:
    """Compare ``pairs`` pairs; how many were, how many of those matched something, and the disagreements."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    done = matched = 0
    wrong: list[str] = []
    for patterns in _pattern_sets(source, pairs // _PATHS_OF_A_SET):
        try:
            automaton = build([(pattern, 1 << index) for index, pattern in enumerate(patterns)], _MAX_STATES)
        except TooManyStatesError:
            continue
        for _ in range(_PATHS_OF_A_SET):
            path = path_of(source, patterns)
            wanted = sum(1 << index for index, pattern in enumerate(patterns) if matches(pattern, path))
            found = automaton.value(path)
            done += 1
            matched += bool(wanted)
            if found != wanted:
                wrong.append(f"seed {seed}: {patterns} on {path!r}: automaton {found:b}, reference {wanted:b}")
                if len(wrong) > 10:
                    return done, matched, wrong
    return done, matched, wrong


def main() -> int:
    """Run the comparison and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    share = 20_000
    jobs = [(arguments.seed * 100_000 + number, share) for number in range(-(-arguments.pairs // share))]
    done = matched = 0
    wrong: list[str] = []
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for compared, hits, faults in pool.starmap(compare, jobs, chunksize=1):
            done, matched, wrong = done + compared, matched + hits, wrong + faults
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{done} pairs compared, {matched} of them matched, {len(wrong)} disagreements")
    return 1 if wrong or matched * 10 < done else 0


if __name__ == "__main__":
    sys.exit(main())

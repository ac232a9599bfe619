# SPDX-License-Identifier: Apache-2.0
"""The parsers under coverage-guided fuzzing: ``python -m tests.fuzz.coverage_guided TARGET [libFuzzer's options]``.

Whatever the input, a parser returns or raises an error of the package. Anything else, a hang (``-timeout``) or more
memory than allowed (``-rss_limit_mb``) ends the run with the input that did it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["varmor"]):
    from varmor.advice.apparmor_text import sections
    from varmor.catalog.loader import load
    from varmor.errors import VarmorError
    from varmor.policy.manifests import parse_manifests
    from varmor.profile import tables
    from varmor.profile.apparmor_raw import check
    from varmor.profile.automaton import TooManyStatesError, build
    from varmor.profile.compile import compile_policy
    from varmor.profile.pattern import canonical
    from varmor.profile.seccomp_import import import_profile
    from varmor.profile.seccomp_simulate import simulate
    from varmor.profile.types import NodeFacts

from tests.fuzz.reference_matcher import matches

_FACTS = NodeFacts()


def manifest(data: bytes) -> None:
    """Text becomes policies, policies become profiles, profiles become tables."""
    text = data.decode("utf-8", "replace")
    for policy in parse_manifests(text, "fuzz.yaml").policies:
        profile = compile_policy(policy, load(), _FACTS)
        if profile.bpf is not None:
            tables.encode(profile.bpf)


def pattern(data: bytes) -> None:
    """A pattern becomes an automaton that agrees with the reference matcher."""
    source = atheris.FuzzedDataProvider(data)
    path = b"/" + source.ConsumeBytes(24).replace(b"\0", b"")
    text = canonical(source.ConsumeUnicodeNoSurrogates(48))
    try:
        automaton = build([(text, 1)], 2000)
    except TooManyStatesError:
        return
    if bool(automaton.value(path)) is not matches(text, path):
        raise AssertionError(f"{text!r} and {path!r}: the automaton and the reference matcher disagree")


def seccomp(data: bytes) -> None:
    """A seccomp profile is imported and asked."""
    imported = import_profile(data.decode("utf-8", "replace"), _FACTS)
    json.dumps(imported.profile)
    simulate(imported.profile, "clone", (0x10000000, 1, 2, 3, 4, 5))


def apparmor(data: bytes) -> None:
    """Raw AppArmor rules are checked, and what passes is read again as statements."""
    text = data.decode("utf-8", "replace")
    check(text)
    sections("profile fuzz {\n" + text + "\n}\n")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "manifest": manifest,
    "pattern": pattern,
    "seccomp": seccomp,
    "apparmor": apparmor,
}


def main() -> None:
    """Fuzz the target that the first argument names."""
    target = TARGETS[sys.argv.pop(1)]

    def one_input(data: bytes) -> None:
        try:
            target(data)
        except VarmorError:
            return

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

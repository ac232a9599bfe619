# SPDX-License-Identifier: Apache-2.0
"""What the pages show is true: every policy in them compiles, and means all that it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from varmor.catalog.loader import load
from varmor.policy.manifests import parse_manifests
from varmor.profile import tables
from varmor.profile.bpf_words import DOMAINS, MOUNT_FLAGS, PERMISSIONS, PROTOCOLS, PTRACE, TYPES
from varmor.profile.compile import compile_policy
from varmor.profile.seccomp_defense import RUNTIME_CALLS, RUNTIME_PRCTL
from varmor.profile.types import NodeFacts

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _policies() -> Iterator[tuple[str, str]]:
    for path in sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob("roles/**/*.md")]):
        for number, text in enumerate(_BLOCK.findall(path.read_text(encoding="utf-8"))):
            if text.startswith("apiVersion: crd.varmor.org"):
                yield f"{path.relative_to(_ROOT)}-{number}", text


_EXAMPLES = dict(_policies())


def test_there_are_examples() -> None:
    assert sum(name.startswith("docs/policy.md") for name in _EXAMPLES) >= 7


@pytest.mark.parametrize("name", _EXAMPLES)
def test_each_example_compiles_without_a_warning(name: str) -> None:
    for policy in parse_manifests(_EXAMPLES[name], name).policies:
        made = compile_policy(policy, load(), NodeFacts())
        assert made.no_effect == ()
        if made.bpf is not None:
            tables.encode(made.bpf)


def test_the_allow_list_is_that_of_the_examples() -> None:
    text = (_ROOT / "examples" / "nginx-allow-list.yaml").read_text(encoding="utf-8")
    assert "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# ")) in _PAGE


def test_the_page_has_all_words() -> None:
    for word in (*PERMISSIONS, *PROTOCOLS, *PTRACE, *TYPES, *tables.SWITCHES):
        assert f"`{word}`" in _PAGE
    shortened = re.compile("(make-)?r?(unbindable|private|slave|shared)")
    for word in MOUNT_FLAGS:
        assert f"`{word}`" in _PAGE or shortened.fullmatch(word), word
    assert {"unix", "inet", "alg"} <= set(DOMAINS)


def test_the_page_has_all_calls_that_runtimes_are_allowed() -> None:
    for name in RUNTIME_CALLS:
        assert f"`{name}`" in _PAGE
    assert ", ".join(map(str, RUNTIME_PRCTL)) in re.sub(r"\s+", " ", _PAGE)

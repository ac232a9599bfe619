# SPDX-License-Identifier: Apache-2.0
"""Every YAML example of the documents and of examples/ is what it says it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from varmor.catalog.loader import load
from varmor.policy.manifests import parse_manifests
from varmor.policy.types import API_VERSION
from varmor.profile.compile import compile_policy
from varmor.profile.tables import encode
from varmor.profile.types import NodeFacts

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^( *)```ya?ml\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def _examples() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
            line = page.read_text(encoding="utf-8")[: match.start()].count("\n") + 1
            text = "\n".join(row.removeprefix(match[1]) for row in match[2].splitlines()) + "\n"
            found.append((f"{page.relative_to(ROOT)}:{line}", text))
    for path in sorted((ROOT / "examples").glob("*.y*ml")):
        found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
    return found


EXAMPLES = _examples()


def test_the_pages_have_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize(("place", "text"), EXAMPLES, ids=[place for place, _ in EXAMPLES])
def test_the_example_is_right(place: str, text: str) -> None:
    documents = [document for document in yaml.safe_load_all(text) if document]
    assert documents, f"{place} is empty"
    if documents[0].get("apiVersion") != API_VERSION:
        assert place == "examples/inventory.yml", f"{place}: nothing here checks an example of this kind"
        text = yaml.safe_dump_all(documents[0]["varmor_nodes"]["vars"]["node_policies"])
    manifests = parse_manifests(text, place)
    assert manifests.policies
    for policy in manifests.policies:
        profile = compile_policy(policy, load(), NodeFacts(), manifests.models)
        if profile.bpf is not None:
            encode(profile.bpf)

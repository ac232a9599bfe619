# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from tests.nodes import workloads

NEEDS = {
    "nginx": ["libc6", "nginx-common"],
    "nginx-common": ["debconf", "iproute2"],
    "libc6": ["libgcc-s1"],
    "libgcc-s1": ["libc6"],
    "debconf": ["perl-base"],
}


class Packages:
    """A suite in which everything has version 1."""

    def resolve(self, packages: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys([*packages, *NEEDS, "perl-base", "iproute2"], "1")

    def dependencies(self, packages: Sequence[str]) -> dict[str, list[str]]:
        return {name: NEEDS.get(name, []) for name in packages}


def test_an_image_has_the_libraries_and_not_what_only_an_installation_needs() -> None:
    assert workloads.closure(Packages(), ["nginx"]) == {
        "libc6": "1",
        "libgcc-s1": "1",
        "nginx": "1",
        "nginx-common": "1",
    }

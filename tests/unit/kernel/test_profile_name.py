# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from varmor.kernel.profile_name import ProfileNameError, checked, is_ours


@pytest.mark.parametrize("name", ["varmor-default-web", "varmor-cluster-varmor-x.y", "varmor-1"])
def test_our_names_pass(name: str) -> None:
    assert checked(name) == name
    assert is_ours(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "web",
        "varmor-",
        "varmor-../x",
        "varmor-a/b",
        "varmor-A",
        "varmor-a..b",
        "varmor-a\n",
        "varmor-.a",
        "varmor-a.",
    ],
)
def test_others_never_become_paths(name: str) -> None:
    with pytest.raises(ProfileNameError, match="expected varmor-NAME"):
        checked(name)
    assert not is_ours(name)

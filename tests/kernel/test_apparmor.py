# SPDX-License-Identifier: Apache-2.0
"""The AppArmor enforcer on a real kernel: load, replace, refuse, unload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.confinement import NAME, confined, text, unavailable
from varmor.kernel.apparmor import AppArmor
from varmor.kernel.apparmor_parser import AppArmorError, AppArmorTextError

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")

DENY_A = text("deny /tmp/effects-a w,")
DENY_B = text("deny /tmp/effects-b w,")


@pytest.fixture
def apparmor(tmp_path: Path) -> Iterator[AppArmor]:
    enforcer = AppArmor(directory=tmp_path)
    yield enforcer
    enforcer.remove(NAME)


def may_write(name: str) -> bool:
    return confined("/bin/sh", "-c", f"echo x > /tmp/effects-{name}").returncode == 0


def test_this_kernel_is_supported(apparmor: AppArmor) -> None:
    assert apparmor.supported().ok, apparmor.supported().reason
    assert apparmor.parser.version() >= (3, 0)
    assert "3.0" in apparmor.parser.abi_files()


def test_load_replace_unload(apparmor: AppArmor) -> None:
    apparmor.apply(NAME, DENY_A)
    assert apparmor.state()[NAME] == "enforce"
    assert apparmor.holds(NAME, DENY_A)
    assert (may_write("a"), may_write("b")) == (False, True)
    apparmor.apply(NAME, DENY_B)
    assert (may_write("a"), may_write("b")) == (True, False)
    apparmor.remove(NAME)
    assert NAME not in apparmor.state()
    apparmor.remove(NAME)


def test_a_refused_text_leaves_file_and_kernel_as_they_were(apparmor: AppArmor) -> None:
    apparmor.apply(NAME, DENY_A)
    with pytest.raises(AppArmorTextError):
        apparmor.apply(NAME, text("deny /tmp/effects-b qq,"))
    assert apparmor.text(NAME) == DENY_A
    assert (may_write("a"), may_write("b")) == (False, True)


def test_the_parsers_words_and_the_line(apparmor: AppArmor) -> None:
    broken = text("deny /tmp/a w,", "allow /tmp/b no-such-permission,")
    with pytest.raises(AppArmorTextError) as caught:
        apparmor.check(NAME, broken)
    assert "no-such-permission" in broken.splitlines()[caught.value.line - 1]
    assert "syntax error" in caught.value.words


def test_checking_loads_nothing(apparmor: AppArmor) -> None:
    apparmor.check(NAME, DENY_A)
    assert NAME not in apparmor.state()


def test_a_second_profile_in_the_text_is_refused(apparmor: AppArmor) -> None:
    with pytest.raises(AppArmorError, match="declares another profile, 'intruder'"):
        apparmor.check(NAME, DENY_A + "profile intruder {\n}\n")


def test_the_file_alone_arms_the_node_at_boot(apparmor: AppArmor, tmp_path: Path) -> None:
    apparmor.apply(NAME, DENY_A)
    (Path("/sys/kernel/security/apparmor") / ".remove").write_text(NAME)
    assert NAME not in apparmor.state()
    assert not apparmor.holds(NAME, DENY_A)
    done = apparmor.parser.run(["--replace", str(tmp_path)])
    assert done.status == 0, done.words
    assert apparmor.holds(NAME, DENY_A)

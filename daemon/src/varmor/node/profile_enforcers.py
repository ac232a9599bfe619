# SPDX-License-Identifier: Apache-2.0
"""The kernel's enforcers, seen by profile: what :class:`varmor.node.enforcement.Enforcement` switches."""

from __future__ import annotations

from varmor.kernel.apparmor import AppArmor
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.kernel.seccomp import SeccompFiles
from varmor.kernel.support import Support
from varmor.policy.types import Enforcer
from varmor.profile.types import Profile


class AppArmorProfiles:
    """AppArmor by profile."""

    name = "AppArmor"
    member = Enforcer.APPARMOR

    def __init__(self, apparmor: AppArmor) -> None:
        self._apparmor = apparmor
        self._checked: tuple[str, str] = ("", "")

    def supported(self) -> Support:
        """Whether AppArmor is active here."""
        return self._apparmor.supported()

    def check(self, profile: Profile) -> None:
        """Compile the text without loading it; the same text twice in a row is compiled once, it takes a while."""
        if profile.apparmor is not None and self._checked != (profile.name, profile.apparmor):
            self._apparmor.check(profile.name, profile.apparmor)
            self._checked = (profile.name, profile.apparmor)

    def apply(self, profile: Profile) -> None:
        """Load or replace the profile."""
        if profile.apparmor is not None:
            self._apparmor.apply(profile.name, profile.apparmor)

    def holds(self, profile: Profile) -> bool:
        """Whether this text is loaded."""
        return profile.apparmor is None or self._apparmor.holds(profile.name, profile.apparmor)

    def remove(self, name: str) -> None:
        """Unload."""
        self._apparmor.remove(name)

    def loaded(self) -> set[str]:
        """Profiles in the kernel, or waiting in a file for the next boot."""
        return set(self._apparmor.state()) | self._apparmor.files()


class SeccompProfiles:
    """Seccomp filters by profile. A mode without a filter of its own (RuntimeDefault) has no file."""

    name = "Seccomp"
    member = Enforcer.SECCOMP

    def __init__(self, seccomp: SeccompFiles) -> None:
        self._seccomp = seccomp

    def supported(self) -> Support:
        """Whether the kernel has filters."""
        return self._seccomp.supported()

    def check(self, profile: Profile) -> None:
        """Nothing that compiling has not checked."""

    def apply(self, profile: Profile) -> None:
        """Write the filter."""
        if profile.seccomp is None:
            self._seccomp.remove(profile.name)
        else:
            self._seccomp.apply(profile.name, profile.seccomp)

    def holds(self, profile: Profile) -> bool:
        """Whether exactly this filter is written."""
        if profile.seccomp is None:
            return profile.name not in self._seccomp.state()
        return self._seccomp.holds(profile.name, profile.seccomp)

    def remove(self, name: str) -> None:
        """Remove the filter's files; running containers keep the filter they have."""
        self._seccomp.remove(name)

    def loaded(self) -> set[str]:
        """Filters that are written."""
        return set(self._seccomp.state())


class BpfProfiles:
    """BPF slots by profile."""

    name = "BPF"
    member = Enforcer.BPF

    def __init__(self, bpf: BpfEnforcer, support: Support) -> None:
        self._bpf = bpf
        self._support = support

    def supported(self) -> Support:
        """Whether the programs are loaded and called."""
        return self._support

    def check(self, profile: Profile) -> None:
        """Build the tables without publishing them."""
        if profile.bpf is not None:
            self._bpf.check(profile.bpf)

    def apply(self, profile: Profile) -> None:
        """Publish the tables in the profile's slot."""
        if profile.bpf is not None:
            self._bpf.apply(profile.name, profile.digest, profile.bpf, observe=profile.observe)
            if profile.bpf.executables:
                # Programs that run already get the rules that are theirs now.
                self._bpf.adopt()

    def holds(self, profile: Profile) -> bool:
        """Whether the slot holds this revision."""
        return profile.bpf is None or self._bpf.state().get(profile.name) == profile.digest

    def remove(self, name: str) -> None:
        """Empty the slot."""
        self._bpf.remove(name)

    def loaded(self) -> set[str]:
        """Slots in use."""
        return set(self._bpf.state())

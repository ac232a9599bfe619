# SPDX-License-Identifier: Apache-2.0
"""Puts profiles in force with all enforcers together: load, verify, go back, unload.

Each enforcer switches a profile atomically by itself. This file makes the whole of them look like one: when one
refuses, those that had
already switched get the previous profile back. A kill between two enforcers leaves each with a whole profile, and
the revision in the store
still *staged*; the next pass does the switch again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from varmor.errors import VarmorError
from varmor.kernel.support import Support
from varmor.policy.types import Enforcer
from varmor.profile.types import Profile

_LOG = logging.getLogger(__name__)


class EnforcementError(VarmorError):
    """An enforcer refused a profile."""


class ProfileEnforcer(Protocol):
    """One enforcer, seen by profile. ``name`` is its spelling in manifests."""

    name: str
    member: Enforcer

    def supported(self) -> Support:
        """Whether this node has it, else why not."""

    def check(self, profile: Profile) -> None:
        """Raise a VarmorError when the profile could not be loaded. Changes nothing."""

    def apply(self, profile: Profile) -> None:
        """Load or replace, atomically."""

    def holds(self, profile: Profile) -> bool:
        """Whether exactly this profile is loaded."""

    def remove(self, name: str) -> None:
        """Unload; nothing happens when it is not loaded."""

    def loaded(self) -> set[str]:
        """The names of our profiles that are loaded."""


class Enforcement:
    """All enforcers of the node, in the order in which they switch.

    ``step`` is called with the name of each step before it is taken: ``apply AppArmor``, ``undo BPF``; it is
    for logs and for tests that kill the
    daemon between two steps.
    """

    def __init__(self, enforcers: list[ProfileEnforcer], step: Callable[[str], None] = lambda _name: None) -> None:
        self._enforcers = enforcers
        self.step = step
        self._support = {enforcer.name: enforcer.supported() for enforcer in enforcers}

    def support(self) -> dict[str, Support]:
        """What this node can do, by enforcer name."""
        return dict(self._support)

    def available(self) -> Enforcer:
        """The enforcers that this node has."""
        found = Enforcer(0)
        for enforcer in self._enforcers:
            if self._support[enforcer.name].ok:
                found |= enforcer.member
        return found

    def missing(self, profile: Profile) -> dict[str, str]:
        """Enforcers that the profile asks for and the node lacks, with the reason."""
        return {
            enforcer.name: self._support[enforcer.name].reason
            for enforcer in self._enforcers
            if enforcer.member in profile.enforcers and not self._support[enforcer.name].ok
        }

    def _serving(self, profile: Profile) -> list[ProfileEnforcer]:
        usable = self.available()
        return [e for e in self._enforcers if e.member in profile.enforcers and e.member in usable]

    def check(self, profile: Profile) -> None:
        """Ask every enforcer whether it would take the profile.

        Raises:
            VarmorError: one would not, in its own words.
        """
        for enforcer in self._serving(profile):
            enforcer.check(profile)

    def holds(self, profile: Profile) -> bool:
        """Whether every enforcer that serves the profile has exactly this one."""
        return all(enforcer.holds(profile) for enforcer in self._serving(profile))

    def switch(self, profile: Profile, previous: Profile | None) -> None:
        """Put ``profile`` in force instead of ``previous``.

        Raises:
            EnforcementError: an enforcer refused; all of them have ``previous`` again (or nothing, when
            there was none).
        """
        done: list[ProfileEnforcer] = []
        for enforcer in self._serving(profile):
            self.step(f"apply {enforcer.name}")
            done.append(enforcer)
            try:
                enforcer.apply(profile)
            except VarmorError as error:
                self._undo(done, profile.name, previous)
                raise EnforcementError(f"{enforcer.name}: {error}") from error
        for enforcer in self._enforcers:
            if previous is not None and enforcer.member in previous.enforcers & ~profile.enforcers:
                self.step(f"drop {enforcer.name}")
                enforcer.remove(profile.name)

    def _undo(self, enforcers: list[ProfileEnforcer], name: str, previous: Profile | None) -> None:
        for enforcer in reversed(enforcers):
            self.step(f"undo {enforcer.name}")
            try:
                if previous is not None and enforcer.member in previous.enforcers:
                    enforcer.apply(previous)
                else:
                    enforcer.remove(name)
            except VarmorError:
                _LOG.exception(
                    "%s did not take the previous profile of %s back; the next pass tries again", enforcer.name, name
                )

    def unload(self, name: str) -> None:
        """Take a profile out of every enforcer."""
        for enforcer in self._enforcers:
            if self._support[enforcer.name].ok:
                self.step(f"remove {enforcer.name}")
                enforcer.remove(name)

    def loaded(self) -> set[str]:
        """Names of our profiles that any enforcer has."""
        names: set[str] = set()
        for enforcer in self._enforcers:
            if self._support[enforcer.name].ok:
                names |= enforcer.loaded()
        return names

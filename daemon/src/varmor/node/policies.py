# SPDX-License-Identifier: Apache-2.0
"""From manifests to profiles in force: one level-triggered pass over all policies.

A pass compares what the manifests say with what the kernel holds and closes the difference. It does not depend on the
pass before it, so a daemon that was killed anywhere does the right thing at its next start.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from varmor.catalog.loader import Catalog
from varmor.errors import PolicyError, VarmorError
from varmor.kernel.apparmor_parser import AppArmorTextError
from varmor.node.enforcement import Enforcement
from varmor.node.policy_directory import Listing, PolicyDirectory
from varmor.node.policy_state import PolicyState
from varmor.node.store import Revision, RevisionState, Store
from varmor.policy.armor_profile_model import ArmorProfileModel
from varmor.policy.parse import parse_object
from varmor.policy.types import Policy, PolicyKey
from varmor.profile.compile import compile_policy
from varmor.profile.types import NodeFacts, Profile

_LOG = logging.getLogger(__name__)


class PolicyReconciler:
    """Keeps the kernel's profiles equal to the manifests."""

    def __init__(
        self,
        directory: PolicyDirectory,
        store: Store,
        enforcement: Enforcement,
        catalog: Catalog,
        facts: NodeFacts,
    ) -> None:
        self._directory = directory
        self._store = store
        self._enforcement = enforcement
        self._catalog = catalog
        self._facts = facts
        self.states: dict[PolicyKey, PolicyState] = {}
        self.file_errors: dict[str, str] = {}

    def compile(self, policy: Policy) -> Profile:
        """Compile for this node and have every enforcer check the result.

        Raises:
            PolicyError: the policy cannot become a profile; an enforcer's own words are in the message.
        """
        return self._checked(policy, self._directory.read().models)

    def _checked(self, policy: Policy, models: Sequence[ArmorProfileModel]) -> Profile:
        profile = compile_policy(policy, self._catalog, self._facts, models)
        try:
            self._enforcement.check(profile)
        except PolicyError:
            raise
        except AppArmorTextError as error:
            raise error.about(policy) from error
        except VarmorError as error:
            raise PolicyError(str(error), where=policy.where, subject=str(policy.key)) from error
        return profile

    def reconcile(self) -> None:
        """One pass. A policy that fails does not hold the others up; its state says why."""
        listing = self._directory.read()
        active = self._store.active()
        self._log_new_errors(listing)
        states: dict[PolicyKey, PolicyState] = {}
        for key, policy in listing.policies.items():
            states[key] = self._advance(policy, listing.sources[key], active.get(key), listing.models)
        for key, revision in active.items():
            if key not in listing.policies and revision.source in listing.errors:
                states[key] = self._keep(key, revision, listing.errors[revision.source])
        self._remove_strangers({self._name(state) for state in states.values()}, set(states))
        self.states = states
        self.file_errors = listing.errors

    def _log_new_errors(self, listing: Listing) -> None:
        for source, message in listing.errors.items():
            if self.file_errors.get(source) != message:
                _LOG.error("manifest refused: %s", message)

    def _name(self, state: PolicyState) -> str:
        return state.active.profile.name if state.active else ""

    def _advance(
        self, policy: Policy, source: str, active: Revision | None, models: Sequence[ArmorProfileModel]
    ) -> PolicyState:
        state = PolicyState(policy.key, _policy_in_force(active), source, active)
        try:
            profile = compile_policy(policy, self._catalog, self._facts, models)
            changed = active is None or active.digest != profile.digest
            if changed:
                profile = self._checked(policy, models)
        except PolicyError as error:
            state.say("Accepted", False, "Invalid", str(error))
            return self._hold(state)
        state.say("Accepted", True, "Valid")
        self._say_effect(state, policy, profile)
        if active is None or changed:
            self._switch(state, policy, profile)
        else:
            state.policy = policy
            self._hold(state)
        return state

    def _say_effect(self, state: PolicyState, policy: Policy, profile: Profile) -> None:
        missing = self._enforcement.missing(profile)
        if missing:
            text = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            state.say("Supported", False, "EnforcerUnavailable", text)
        else:
            state.say("Supported", True, "EnforcersAvailable")
        idle = [f"{item.field}: {item.message}" for item in profile.no_effect]
        if not policy.target.kind.local:
            kind = policy.target.kind.value
            idle.insert(
                0, f"spec.target.kind: {kind} needs the controller of a cluster; on a node alone it matches nothing"
            )
        if idle:
            state.say("Effective", False, "PartlyWithoutEffect", "; ".join(idle))
        else:
            state.say("Effective", True, "AllInEffect")

    def _switch(self, state: PolicyState, policy: Policy, profile: Profile) -> None:
        before = self._last_failure(state.key, profile)
        self._enforcement.step("stage")
        revision = before or self._store.stage(profile, policy.manifest, state.source)
        previous = state.active
        try:
            self._enforcement.switch(profile, previous.profile if previous else None)
        except VarmorError as error:
            self._store.fail(revision, str(error))
            state.say("Active", False, "LoadFailed", f"{error}{_kept(previous)}")
            _LOG.error("%s: revision %d is not in force: %s%s", state.key, revision.number, error, _kept(previous))
            return
        self._enforcement.step("activate")
        self._store.activate(revision)
        state.active = revision
        state.policy = policy
        state.say("Active", True, "Enforced")
        _LOG.info("%s: revision %d is in force (%s)", state.key, revision.number, profile.digest[:12])

    def _last_failure(self, key: PolicyKey, profile: Profile) -> Revision | None:
        """The newest revision when it is this very profile and has failed: trying it again makes no new revision."""
        revisions = self._store.revisions(key)
        return revisions[-1] if revisions and revisions[-1].digest == profile.digest else None

    def _interrupted(self, key: PolicyKey) -> Revision | None:
        """A revision that a killed daemon was switching to: any enforcer may have it, whatever the files say."""
        staged = [revision for revision in self._store.revisions(key) if revision.state is RevisionState.STAGED]
        return staged[-1] if staged else None

    def _keep(self, key: PolicyKey, revision: Revision, error: str) -> PolicyState:
        state = PolicyState(key, _policy_in_force(revision), revision.source, revision)
        state.say("Accepted", False, "Invalid", error)
        return self._hold(state)

    def _hold(self, state: PolicyState) -> PolicyState:
        """Make sure that the active revision really is in the kernel, for example after a reboot."""
        if state.active is None:
            state.say("Active", False, "NeverActive", "no revision of this policy has been in force")
            return state
        profile = state.active.profile
        interrupted = self._interrupted(state.key)
        try:
            if interrupted is not None or not self._enforcement.holds(profile):
                _LOG.info("%s: revision %d is loaded again", state.key, state.active.number)
                self._enforcement.switch(profile, interrupted.profile if interrupted else None)
            if interrupted is not None:
                self._store.fail(interrupted, "the daemon was killed while it switched; the manifest has changed since")
        except VarmorError as error:
            state.say("Active", False, "LoadFailed", str(error))
            return state
        state.say("Active", True, "Enforced", f"revision {state.active.number}")
        return state

    def _remove_strangers(self, names: set[str], keys: set[PolicyKey]) -> None:
        """Unload profiles of policies that are gone, also those that a killed daemon left behind."""
        for name in sorted(self._enforcement.loaded() - names):
            _LOG.info("profile %s is unloaded: its policy is gone", name)
            self._enforcement.unload(name)
        for key in self._store.active().keys() - keys:
            self._store.forget(key)


def _policy_in_force(active: Revision | None) -> Policy | None:
    """The policy that the active revision was made from: its target counts as long as that revision is in force."""
    return parse_object(active.manifest, f"revision {active.number}") if active else None


def _kept(previous: Revision | None) -> str:
    return f"; revision {previous.number} stays in force" if previous else ""

# SPDX-License-Identifier: Apache-2.0
"""One pass closes the difference between manifests, store and enforcers; what fails keeps its last good revision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.fakes import MemoryEnforcer
from varmor.catalog.loader import load
from varmor.kernel.apparmor_parser import AppArmorTextError
from varmor.node.enforcement import Enforcement
from varmor.node.policies import PolicyReconciler
from varmor.node.policy_directory import PolicyDirectory
from varmor.node.policy_state import Phase, PolicyState
from varmor.node.store import RevisionState, Store
from varmor.policy.types import Enforcer, PolicyKey, PolicyKind
from varmor.profile.types import NodeFacts, Profile

KEY = PolicyKey(PolicyKind.VARMOR_POLICY, "default", "web")
MANIFEST = """\
apiVersion: crd.varmor.org/v1beta1
kind: VarmorPolicy
metadata: {name: web, namespace: default}
spec:
  target: {kind: Container, name: web}
  policy:
    enforcer: AppArmorBPF
    mode: EnhanceProtect
    enhanceProtect:
      hardeningRules: [RULE]
"""


class KilledError(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


class Node:
    """A reconciler over real files and a real store."""

    def __init__(self, path: Path) -> None:
        self.policies = path / "policies.d"
        self.policies.mkdir()
        self.store_path = path / "state.db"
        self.enforcers = [MemoryEnforcer("AppArmor", Enforcer.APPARMOR), MemoryEnforcer("BPF", Enforcer.BPF)]
        self.kill_at = ""
        self.start()

    def start(self) -> None:
        """A new daemon on the same disk and kernel."""
        self.store = Store(self.store_path)
        self.reconciler = PolicyReconciler(
            PolicyDirectory(self.policies),
            self.store,
            Enforcement(list(self.enforcers), self._step),
            load(),
            NodeFacts(),
        )

    def _step(self, name: str) -> None:
        if name == self.kill_at:
            raise KilledError

    def write(self, rule: str, file: str = "web.yaml") -> None:
        (self.policies / file).write_text(MANIFEST.replace("RULE", rule))

    def run(self) -> PolicyState:
        self.reconciler.reconcile()
        return self.reconciler.states[KEY]

    def in_force(self) -> list[str]:
        """For each enforcer the rule that it holds: what the manifest said when its profile was made."""
        found = []
        for enforcer in self.enforcers:
            profile = enforcer.has.get("varmor-default-web")
            text = (profile.apparmor or "") if profile else ""
            found.append("mount" if "deny mount" in text and "net_raw" not in text else "raw" if profile else "none")
        return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.store.close()


def test_a_new_manifest_becomes_revision_one(node: Node) -> None:
    node.write("disallow-mount")
    state = node.run()
    assert (state.ready, state.phase) == (True, Phase.PROTECTING)
    assert state.active is not None
    assert state.active.number == 1
    assert all(enforcer.has for enforcer in node.enforcers)


def test_a_target_that_only_a_cluster_can_resolve_is_said(node: Node) -> None:
    node.write("disallow-mount")
    path = node.policies / "web.yaml"
    path.write_text(path.read_text().replace("kind: Container", "kind: Deployment"))
    message = node.run().conditions["Effective"].message
    assert "Deployment needs the controller of a cluster" in message


def test_nothing_changes_nothing_happens(node: Node) -> None:
    node.write("disallow-mount")
    node.run()
    node.kill_at = "apply AppArmor"
    assert node.run().ready


def test_an_edit_becomes_the_next_revision(node: Node) -> None:
    node.write("disallow-mount")
    node.run()
    node.write("disable-cap-net-raw")
    state = node.run()
    assert state.active is not None
    assert (state.active.number, node.in_force()) == (2, ["raw", "raw"])


def test_a_removed_manifest_takes_its_profile_away(node: Node) -> None:
    node.write("disallow-mount")
    node.run()
    (node.policies / "web.yaml").unlink()
    node.reconciler.reconcile()
    assert node.reconciler.states == {}
    assert node.in_force() == ["none", "none"]
    assert node.store.revisions(KEY) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("disalow-mount", "disallow-mount"),
        ("disable-write-etc", "attackProtectionRules"),
        ("{a: b}", "web.yaml:"),
    ],
)
def test_a_bad_edit_keeps_the_revision_in_force(node: Node, rule: str, words: str) -> None:
    node.write("disallow-mount")
    node.run()
    node.write(rule)
    state = node.run()
    assert (state.ready, state.phase) == (False, Phase.ERROR)
    assert words in state.conditions["Accepted"].message
    assert state.policy is not None
    assert node.in_force() == ["mount", "mount"]


def test_a_file_that_is_not_yaml_keeps_its_policies(node: Node) -> None:
    node.write("disallow-mount")
    node.run()
    (node.policies / "web.yaml").write_text("{")
    state = node.run()
    assert not state.conditions["Accepted"].status
    assert node.in_force() == ["mount", "mount"]
    assert "web.yaml" in node.reconciler.file_errors


def test_one_bad_policy_does_not_hold_the_others_up(node: Node) -> None:
    (node.policies / "a.yaml").write_text("nonsense: [")
    node.write("disallow-mount")
    assert node.run().ready


def test_two_manifests_of_one_policy_are_an_error_of_the_second(node: Node) -> None:
    node.write("disallow-mount")
    node.write("disable-cap-net-raw", "zweb.yaml")
    node.run()
    assert "is already defined in web.yaml" in node.reconciler.file_errors["zweb.yaml"]
    assert node.in_force() == ["mount", "mount"]


def test_an_enforcer_that_refuses_leaves_the_old_revision_everywhere(node: Node) -> None:
    node.write("disallow-mount")
    old = node.run().active
    assert old is not None
    node.write("disable-cap-net-raw")
    node.enforcers[1].refuse_all = True
    state = node.run()
    assert "revision 1 stays in force" in state.conditions["Active"].message
    assert node.in_force()[0] == "mount"
    revisions = node.store.revisions(KEY)
    node.run()
    assert node.store.revisions(KEY) == revisions, "another try of the same profile makes no new revision"
    node.enforcers[1].refuse_all = False
    assert node.run().ready


def test_after_a_reboot_the_kernel_is_filled_again(node: Node) -> None:
    node.write("disallow-mount")
    node.run()
    for enforcer in node.enforcers:
        enforcer.has.clear()
    state = node.run()
    assert state.active is not None
    assert (state.ready, state.active.number) == (True, 1)
    assert node.in_force() == ["mount", "mount"]


def test_profiles_that_nobody_asked_for_are_unloaded(node: Node) -> None:
    node.write("disallow-mount")
    state = node.run()
    assert state.active is not None
    node.enforcers[0].has["varmor-default-gone"] = state.active.profile
    node.run()
    assert set(node.enforcers[0].has) == {"varmor-default-web"}


STEPS = ["stage", "apply AppArmor", "apply BPF", "activate"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps_the_next_start_finishes(node: Node, step: str) -> None:
    node.write("disallow-mount")
    node.run()
    node.write("disable-cap-net-raw")
    node.kill_at = step
    with pytest.raises(KilledError):
        node.run()
    assert set(node.in_force()) <= {"mount", "raw"}, "each enforcer has the old or the new profile, whole"
    node.kill_at = ""
    node.store.close()
    node.start()
    state = node.run()
    assert state.ready
    assert node.in_force() == ["raw", "raw"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_and_edited_back_meanwhile_the_old_profile_is_everywhere(node: Node, step: str) -> None:
    node.write("disallow-mount")
    node.run()
    node.write("disable-cap-net-raw")
    node.kill_at = step
    with pytest.raises(KilledError):
        node.run()
    node.kill_at = ""
    node.store.close()
    node.write("disallow-mount")
    node.start()
    assert node.run().ready
    assert node.in_force() == ["mount", "mount"]
    assert RevisionState.STAGED not in [revision.state for revision in node.store.revisions(KEY)]


@pytest.mark.parametrize("step", ["remove AppArmor", "remove BPF"])
def test_killed_while_a_policy_is_removed_the_next_start_removes_it(node: Node, step: str) -> None:
    node.write("disallow-mount")
    node.run()
    (node.policies / "web.yaml").unlink()
    node.kill_at = step
    with pytest.raises(KilledError):
        node.reconciler.reconcile()
    node.kill_at = ""
    node.store.close()
    node.start()
    node.reconciler.reconcile()
    assert node.in_force() == ["none", "none"]
    assert node.store.active() == {}


DEFENSE = """\
apiVersion: crd.varmor.org/v1beta1
kind: VarmorPolicy
metadata: {name: web, namespace: default}
spec:
  target: {kind: Container, name: web}
  policy:
    enforcer: AppArmor
    mode: DefenseInDepth
    defenseInDepth:
      appArmor: {profileType: BehaviorModel}
"""
MODEL = """\
apiVersion: crd.varmor.org/v1beta1
kind: ArmorProfileModel
metadata: {name: varmor-default-web, namespace: default}
data:
  profile:
    name: varmor-default-web
    enforcer: AppArmor
    mode: enforce
    appArmor: |
      profile seen {
        /usr/sbin/FILE mr,
      }
"""


def _text(node: Node) -> str:
    return node.enforcers[0].has["varmor-default-web"].apparmor or ""


def test_a_behaviour_model_beside_the_policy(node: Node) -> None:
    (node.policies / "web.yaml").write_text(DEFENSE)
    assert "'varmor-default-web' of the namespace default is missing" in node.run().conditions["Accepted"].message
    model = node.policies / "model.yaml"
    model.write_text(MODEL.replace("FILE", "nginx"))
    assert node.run().ready
    assert "/usr/sbin/nginx mr," in _text(node)
    model.write_text(MODEL.replace("FILE", "apache2"))
    state = node.run()
    assert state.active is not None
    assert (state.active.number, "/usr/sbin/apache2 mr," in _text(node)) == (2, True)
    model.unlink()
    state = node.run()
    assert (state.ready, state.in_force) == (False, True), "what was in force stays without the model"


def test_two_models_of_one_name_are_an_error_of_the_second(node: Node) -> None:
    (node.policies / "a.yaml").write_text(MODEL.replace("FILE", "nginx"))
    (node.policies / "b.yaml").write_text(DEFENSE + "---\n" + MODEL.replace("FILE", "apache2"))
    node.reconciler.reconcile()
    assert (
        "ArmorProfileModel default/varmor-default-web: is already defined in" in node.reconciler.file_errors["b.yaml"]
    )
    assert "a.yaml" in node.reconciler.file_errors["b.yaml"]


def test_what_does_nothing_is_a_condition(node: Node) -> None:
    node.write("disallow-mount, DISALLOW_MOUNT")
    condition = node.run().conditions["Effective"]
    assert (condition.status, condition.reason) == (False, "PartlyWithoutEffect")
    assert "spec.policy.enhanceProtect.hardeningRules[1]: repeats" in condition.message


class _Parser(MemoryEnforcer):
    """Answers as AppArmor does when apparmor_parser does not take a line."""

    def check(self, profile: Profile) -> None:
        text = profile.apparmor or ""
        for number, line in enumerate(text.splitlines(), start=1):
            if "/nonsense" in line:
                raise AppArmorTextError(profile.name, f"AppArmor parser error at line {number}: syntax error", text)


def test_a_raw_rule_that_the_parser_refuses_is_named_with_its_line(node: Node) -> None:
    node.enforcers = [_Parser("AppArmor", Enforcer.APPARMOR)]
    node.store.close()
    node.start()
    raw = "      appArmorRawRules:\n        - rules: |\n            deny /ok w,\n            deny /nonsense w,\n"
    (node.policies / "web.yaml").write_text(
        MANIFEST.replace("AppArmorBPF", "AppArmor").replace("RULE", "disallow-mount") + raw
    )
    line = (node.policies / "web.yaml").read_text().splitlines().index("            deny /nonsense w,") + 1
    message = node.run().conditions["Accepted"].message
    assert f"web.yaml:{line}" in message
    assert "appArmorRawRules[0].rules" in message

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a policy on a node or take it away."""

from __future__ import annotations

DOCUMENTATION = r"""
module: policy
short_description: Put a vArmor policy on a node
version_added: 0.1.0
description:
  - Puts one C(VarmorPolicy) or C(VarmorClusterPolicy) on a node, or takes it away.
  - The node daemon validates and compiles the policy for this node's kernel before anything is written. A policy that
    it refuses leaves the active revision as it is.
  - By default the module returns when the daemon reports the new revision active.
author:
  - The varmor.fleet authors (@varmor)
extends_documentation_fragment:
  - varmor.fleet.attributes
  - varmor.fleet.attributes.action_group
  - varmor.fleet.attributes.daemon
attributes:
  check_mode:
    support: full
    details:
      - The daemon validates and compiles the policy, so that check mode finds its errors too.
  diff_mode:
    support: full
    details:
      - The difference is that of the manifest and of the profiles which each enforcer would load.
  idempotent:
    support: full
options:
  state:
    description:
      - Whether the policy is to be on the node.
    type: str
    choices: [present, absent]
    default: present
  definition:
    description:
      - The policy as data.
      - O(definition) or O(text) is required when O(state=present).
    type: dict
  text:
    description:
      - The policy as a YAML text with one document, for example C(lookup('ansible.builtin.file', 'web.yaml')).
      - Errors name the line and the column of this text.
    type: str
  kind:
    description:
      - The kind of the policy to take away, when neither O(definition) nor O(text) is given.
    type: str
    choices: [VarmorPolicy, VarmorClusterPolicy]
    default: VarmorPolicy
  namespace:
    description:
      - The namespace of the policy to take away, when neither O(definition) nor O(text) is given.
      - A C(VarmorClusterPolicy) has none.
    type: str
    default: default
  name:
    description:
      - The name of the policy to take away, when neither O(definition) nor O(text) is given.
    type: str
  wait:
    description:
      - Whether to wait until the daemon reports the revision active, or the policy gone.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds.
    type: int
    default: 60
seealso:
  - module: varmor.fleet.status_info
"""

EXAMPLES = r"""
- name: Confine the web server
  varmor.fleet.policy:
    definition:
      apiVersion: crd.varmor.org/v1beta1
      kind: VarmorPolicy
      metadata:
        name: web
        namespace: default
      spec:
        target:
          kind: Container
          name: web
        policy:
          enforcer: AppArmorBPFSeccomp
          mode: EnhanceProtect
          enhanceProtect:
            hardeningRules: [disallow-mount, disable-cap-net-raw]
            attackProtectionRules:
              - rules: [disable-write-etc, mitigate-sa-leak]

- name: Put a policy from a file on the node
  varmor.fleet.policy:
    text: "{{ lookup('ansible.builtin.file', 'policies/web.yaml') }}"

- name: Take the policy away
  varmor.fleet.policy:
    state: absent
    name: web
"""

RETURN = r"""
policy:
  description: The policy's key.
  returned: success
  type: dict
  sample: {kind: VarmorPolicy, namespace: default, name: web}
revision:
  description: The revision that the daemon made of the policy; empty in check mode and when O(state=absent).
  returned: success
  type: dict
  sample: {number: 3, digest: 5f1c0a}
ready:
  description: Whether that revision is active. In check mode and without O(wait) this may be V(false).
  returned: when O(state=present) and not in check mode
  type: bool
conditions:
  description: What the daemon says about the policy, for example which workloads need a restart.
  returned: when O(state=present) and not in check mode
  type: list
  elements: dict
  sample: [{type: Active, status: "True", reason: InForce, message: ""}]
failure:
  description: The daemon's error as data. C(field) in it is the path of the field that was refused.
  returned: failure
  type: dict
  sample: {kind: policy, message: "unknown rule disable-writes", subject: VarmorPolicy default/web, field: spec.policy}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.varmor.fleet.plugins.module_utils.daemon_client import (
    DEFAULT_SOCKET,
    DaemonClient,
    DaemonError,
)

# What a reply may take beyond the time that the daemon itself was told to wait.
_REPLY_SECONDS = 30

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "definition": {"type": "dict"},
    "text": {"type": "str"},
    "kind": {"type": "str", "choices": ["VarmorPolicy", "VarmorClusterPolicy"], "default": "VarmorPolicy"},
    "namespace": {"type": "str", "default": "default"},
    "name": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 60},
    "socket": {"type": "path", "default": DEFAULT_SOCKET},
}


def subject_of(params: dict[str, Any]) -> dict[str, Any]:
    """What the request is about: the manifest, or the key of a policy to take away."""
    if params["text"] is not None:
        return {"text": params["text"]}
    if params["definition"] is not None:
        return {"manifest": params["definition"]}
    namespace = "" if params["kind"] == "VarmorClusterPolicy" else params["namespace"]
    return {"kind": params["kind"], "namespace": namespace, "name": params["name"]}


def run(module: AnsibleModule, client: DaemonClient) -> dict[str, Any]:
    """Plan, apply unless in check mode or nothing changes, and return the module's result."""
    state = module.params["state"]
    subject = subject_of(module.params)
    plan = client.request("policy.plan", state=state, **subject)
    key = plan["policy"]
    result: dict[str, Any] = {"changed": plan["changed"], "policy": key, "revision": {}, "diff": _diff(plan)}
    for warning in plan.get("warnings", []):
        module.warn(f"{key['kind']} {key['namespace']}/{key['name']}: {warning}")
    if module.check_mode:
        return result
    wait = module.params["wait_timeout"] if module.params["wait"] else 0
    if state == "absent":
        if plan["changed"]:
            client.request("policy.delete", wait=wait, **key)
        return result
    reply = client.request("policy.put", wait=wait, **subject)
    result.update(
        changed=plan["changed"] or reply["changed"],
        revision=reply.get("revision") or {},
        ready=reply["ready"],
        conditions=reply.get("conditions", []),
    )
    if wait and not reply["ready"]:
        raise DaemonError(_not_active(key, result["conditions"]), kind="state")
    return result


def _diff(plan: dict[str, Any]) -> dict[str, str]:
    key = plan["policy"]
    name = "/".join(part for part in (key["kind"], key["namespace"], key["name"]) if part)
    return {
        "before": plan["before"],
        "after": plan["after"],
        "before_header": f"{name} (on the node)",
        "after_header": f"{name} (wanted)",
    }


def _not_active(key: dict[str, str], conditions: list[dict[str, str]]) -> str:
    said = "; ".join(item["message"] for item in conditions if item["status"] != "True" and item["message"])
    reason = said or "varmord gives no reason, see `varmor status` on the node"
    return f"{key['kind']} {key['namespace']}/{key['name']} was written but is not active: {reason}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[("definition", "text"), ("definition", "name"), ("text", "name")],
        required_if=[
            ("state", "present", ("definition", "text"), True),
            ("state", "absent", ("definition", "text", "name"), True),
        ],
    )
    timeout = max(0, module.params["wait_timeout"]) + _REPLY_SECONDS
    try:
        result = run(module, DaemonClient(module.params["socket"], timeout=timeout))
    except DaemonError as error:
        module.fail_json(msg=str(error), failure=error.failure())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

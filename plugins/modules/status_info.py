#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the node daemon what it enforces."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_info
short_description: What the node daemon enforces
version_added: 0.1.0
description:
  - Asks C(varmord) which enforcers work on the node, which policies are active there, in which revision, for which
    containers and units, and how many violations were recorded.
author:
  - The varmor.fleet authors (@varmor)
extends_documentation_fragment:
  - varmor.fleet.attributes
  - varmor.fleet.attributes.action_group
  - varmor.fleet.attributes.daemon
  - varmor.fleet.attributes.info
options:
  timeout:
    description:
      - How long to wait for the daemon to answer, in seconds.
      - A daemon that was just started answers as soon as it has read its state.
    type: int
    default: 30
seealso:
  - module: varmor.fleet.policy
  - module: varmor.fleet.node_info
"""

EXAMPLES = r"""
- name: Ask the daemon
  varmor.fleet.status_info:
  register: varmor

- name: Stop the batch when a policy is not active
  ansible.builtin.assert:
    that: varmor.policies | rejectattr('ready') | length == 0
    quiet: true
"""

RETURN = r"""
node:
  description: The node and its daemon.
  returned: success
  type: dict
  contains:
    name:
      description: The node's name in violation records.
      type: str
      returned: success
      sample: web-1
    version:
      description: The daemon's version.
      type: str
      returned: success
      sample: 0.1.0
    kernel:
      description: The kernel's release.
      type: str
      returned: success
      sample: 6.1.0-40-amd64
    started:
      description: When the daemon was started.
      type: str
      returned: success
      sample: "2025-11-22T05:40:11Z"
    fail:
      description: What happens to a workload that starts while the daemon is away, V(open) or V(closed).
      type: str
      returned: success
      sample: open
    probe:
      description: The kernel's security modules, tools and OCI runtimes as the daemon found them.
      type: dict
      returned: success
enforcers:
  description: Whether each enforcer works on this node, and if not, why.
  returned: success
  type: dict
  sample:
    AppArmor: {ok: true, reason: ""}
    BPF: {ok: false, reason: "`bpf` is not in /sys/kernel/security/lsm; add it to lsm= on the kernel command line"}
policies:
  description: The policies that the daemon knows.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(VarmorPolicy) or V(VarmorClusterPolicy).
      type: str
      returned: success
    namespace:
      description: The policy's namespace; empty for a VarmorClusterPolicy.
      type: str
      returned: success
    name:
      description: The policy's name.
      type: str
      returned: success
    source:
      description: The file in C(/etc/varmor/policies.d).
      type: str
      returned: success
      sample: default.web.yaml
    target:
      description: What the policy applies to, in one line.
      type: str
      returned: success
      sample: Container image=*nginx*
    enforcer:
      description: The enforcers that the policy asks for.
      type: str
      returned: success
      sample: AppArmorBPF
    mode:
      description: The policy's mode.
      type: str
      returned: success
      sample: EnhanceProtect
    profile:
      description: The profile's name in the kernel.
      type: str
      returned: success
    phase:
      description: V(Pending), V(Protecting) or V(Error).
      type: str
      returned: success
    ready:
      description: Whether the revision below is active on this node.
      type: bool
      returned: success
    revision:
      description: The active revision, with its C(number) and C(digest); V(null) when there is none.
      type: dict
      returned: success
    conditions:
      description: Errors and warnings, in words that say what to do.
      type: list
      elements: dict
      returned: success
    workloads:
      description: The containers and units that the policy applies to, and how each enforcer confines them.
      type: list
      elements: dict
      returned: success
errors:
  description: Files of the policy directory and units that the daemon cannot use, each with the reason.
  returned: success
  type: list
  elements: str
audit:
  description: Whether the kernel's audit stream can be read, and if not, why. AppArmor's denials come from it.
  returned: success
  type: dict
  sample: {ok: true, reason: ""}
last_pass:
  description: When all policies were last compared with the kernel, in seconds since 1970.
  returned: success
  type: float
violations:
  description: How many violations were recorded and how many events were lost since the daemon was started.
  returned: success
  type: dict
  sample: {recorded: 12, lost: 0}
failure:
  description: The daemon's error as data.
  returned: failure
  type: dict
  sample: {kind: unreachable, message: "varmord is not running on this node", subject: "", field: ""}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.varmor.fleet.plugins.module_utils.daemon_client import (
    DEFAULT_SOCKET,
    DaemonClient,
    DaemonError,
)


def main() -> None:
    """Read, report."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    client = DaemonClient(module.params["socket"], timeout=max(1, module.params["timeout"]))
    try:
        client.wait_until_up(module.params["timeout"])
        status = client.request("status")
    except DaemonError as error:
        module.fail_json(msg=str(error), failure=error.failure())
    module.exit_json(changed=False, **status)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what a node offers before anything is installed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Whether a node can be protected, and if not, why
version_added: 0.1.0
description:
  - Reads what a node's kernel and container runtimes offer. Nothing needs to be installed on the node.
  - The role P(varmor.fleet.node#role) begins with it; on its own it answers for a whole fleet which nodes are ready.
author:
  - The varmor.fleet authors (@varmor)
extends_documentation_fragment:
  - varmor.fleet.attributes
  - varmor.fleet.attributes.action_group
  - varmor.fleet.attributes.info
seealso:
  - module: varmor.fleet.status_info
"""

EXAMPLES = r"""
- name: Read what the node offers
  varmor.fleet.node_info:
  register: offer

- name: Show why BPF cannot be used
  ansible.builtin.debug:
    msg: "{{ offer.enforcers.BPF.reason }}"
  when: not offer.enforcers.BPF.ok
"""

RETURN = r"""
os:
  description: The distribution, from C(/etc/os-release).
  returned: success
  type: dict
  sample: {id: debian, version: "12", codename: bookworm}
architecture:
  description: The machine's architecture as the kernel names it.
  returned: success
  type: str
  sample: x86_64
kernel:
  description: The kernel's release.
  returned: success
  type: str
  sample: 6.1.0-40-amd64
systemd:
  description: Whether systemd runs the node.
  returned: success
  type: bool
lsm:
  description: The active security modules of the kernel.
  returned: success
  type: list
  elements: str
  sample: [lockdown, capability, landlock, yama, apparmor, tomoyo, bpf]
enforcers:
  description: For C(AppArmor), C(BPF) and C(Seccomp) whether the kernel offers it, and if not, why.
  returned: success
  type: dict
  sample:
    AppArmor: {ok: true, reason: ""}
runtimes:
  description:
    - The container runtimes that are installed, by the name of their program.
    - C(containerd.explicit_runtimes) lists the programs that its configuration names instead of finding C(runc) in
      C(PATH), C(containerd.search_path) the folders in C(PATH) of the running containerd.
    - C(dockerd.settings) is the content of C(/etc/docker/daemon.json).
  returned: success
  type: dict
  sample:
    runc: {path: /usr/sbin/runc}
    containerd: {path: /usr/bin/containerd, explicit_runtimes: [], search_path: [/usr/sbin, /usr/bin]}
package:
  description: The installed version of the package C(varmor); empty when it is not installed.
  returned: success
  type: str
  sample: 0.1.0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.varmor.fleet.plugins.module_utils.node_probe import NodeProbe


def main() -> None:
    """Read, report."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        report = NodeProbe().report()
    except (TypeError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **report)


if __name__ == "__main__":
    main()

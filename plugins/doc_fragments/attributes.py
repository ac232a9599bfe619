# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attributes and options that the collection's modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module documents about itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the node.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/varmor.fleet.node) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - varmor.fleet.node
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module reads and never changes the node.
  diff_mode:
    support: N/A
    details:
      - This module reads and never changes the node.
  idempotent:
    support: full
    details:
      - This module reads and never changes the node.
"""

    DAEMON = r"""
options:
  socket:
    description:
      - The socket on which the node daemon C(varmord) answers. Only root may use it.
    type: path
    default: /run/varmor/varmord.sock
"""

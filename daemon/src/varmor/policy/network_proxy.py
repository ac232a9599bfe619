# SPDX-License-Identifier: Apache-2.0
"""The enforcer NetworkProxy of vArmor: its fields are known by name, and refused."""

from __future__ import annotations

NOT_BUILT = "the enforcer NetworkProxy is not built yet: remove it"

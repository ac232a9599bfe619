# SPDX-License-Identifier: Apache-2.0
"""Many containers and profiles on one node: what arming costs, and that opening a file costs the same afterwards."""

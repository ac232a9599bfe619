# SPDX-License-Identifier: Apache-2.0
"""What one system call costs under no enforcer, ours and AppArmor, counted in instructions of a stock kernel."""

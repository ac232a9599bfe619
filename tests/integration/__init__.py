# SPDX-License-Identifier: Apache-2.0
"""The whole product on whole nodes: role, modules, daemon, runtimes, kernel."""

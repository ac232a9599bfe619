# SPDX-License-Identifier: Apache-2.0
"""Long runs: what only shows after thousands of containers."""

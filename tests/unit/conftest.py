# SPDX-License-Identifier: Apache-2.0
"""Settings of all unit tests."""

from __future__ import annotations

from hypothesis import settings

# Test machines share their processors with virtual machines: a slow example is no finding.
settings.register_profile("varmor", deadline=None)
settings.load_profile("varmor")

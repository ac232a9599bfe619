# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests. A test that could not run is no success: where the tiers are run, skips fail the run."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

# Test machines share their processors with virtual machines: a slow example is no finding. The examples are the same in
# every run, so that a change is judged by what it changes; with VARMOR_RANDOM_EXAMPLES=1 they are new ones.
settings.register_profile("varmor", deadline=None, derandomize=os.environ.get("VARMOR_RANDOM_EXAMPLES") != "1")
settings.load_profile("varmor")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success with skipped tests into failure when ``VARMOR_FORBID_SKIPS`` is set, as `scripts.test` does."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and os.environ.get("VARMOR_FORBID_SKIPS") and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\n{len(skipped)} tests were skipped on a machine that must run them", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

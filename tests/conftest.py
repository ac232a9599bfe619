# SPDX-License-Identifier: Apache-2.0
"""A test that could not run is no success: where the tiers are run, skipped tests fail the run."""

from __future__ import annotations

import os
from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success with skipped tests into failure when ``VARMOR_FORBID_SKIPS`` is set, as `scripts.test` does."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and os.environ.get("VARMOR_FORBID_SKIPS") and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\n{len(skipped)} tests were skipped on a machine that must run them", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

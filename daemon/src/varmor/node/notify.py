# SPDX-License-Identifier: Apache-2.0
"""Tells systemd how the daemon is doing; does nothing when systemd did not start it."""

from __future__ import annotations

import os

try:
    from systemd import daemon as _systemd
except ImportError:  # a development machine without python3-systemd; the Debian package depends on it
    _systemd = None


def _send(state: str) -> None:
    if _systemd is not None and "NOTIFY_SOCKET" in os.environ:
        _systemd.notify(state)


def ready(text: str) -> None:
    """The first pass is done and the socket is open."""
    _send(f"READY=1\nSTATUS={text}")


def status(text: str) -> None:
    """One line for `systemctl status`."""
    _send(f"STATUS={text}")


def alive() -> None:
    """Feed the watchdog."""
    _send("WATCHDOG=1")


def stopping() -> None:
    """The daemon is about to end."""
    _send("STOPPING=1")


def watchdog_seconds() -> float | None:
    """How often the watchdog must be fed (half its period), None when there is none."""
    period = os.environ.get("WATCHDOG_USEC", "")
    return int(period) / 2e6 if period.isdigit() and int(period) else None

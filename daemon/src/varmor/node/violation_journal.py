# SPDX-License-Identifier: Apache-2.0
"""Violations in the journal, with fields to search for: ``journalctl VARMOR_PROFILE=varmor-default-web``."""

from __future__ import annotations

import logging
from collections.abc import Callable

from varmor.node.violation_record import Violation

MESSAGE_ID = "6f6c1f0a3e9f4d1c9a2b7d5e8c40b1a7"
"""The journal's catalogue id of a violation."""

_WARNING = "4"
_LOG = logging.getLogger(__name__)

Send = Callable[..., object]


class ViolationJournal:
    """Sends violations to the journal. Without a journal, that is logged once and :attr:`lost` counts."""

    def __init__(self, send: Send | None = None) -> None:
        self._send = send
        self._said = False
        self.lost = 0

    def write(self, violation: Violation) -> bool:
        """Send one violation; whether the journal took it."""
        try:
            self._sender()(
                violation.sentence(),
                MESSAGE_ID=MESSAGE_ID,
                PRIORITY=_WARNING,
                SYSLOG_IDENTIFIER="varmord",
                VARMOR_ACTION=violation.action.value,
                VARMOR_ENFORCER=violation.enforcer,
                VARMOR_PROFILE=violation.profile,
                VARMOR_POLICY=str(violation.policy or ""),
                VARMOR_WORKLOAD=violation.workload.id if violation.workload else "",
            )
        except (ImportError, OSError) as error:
            self.lost += 1
            if not self._said:
                self._said = True
                _LOG.warning("violations do not reach the journal: %s; they are in violations.log", error)
            return False
        return True

    def _sender(self) -> Send:
        if self._send is None:
            from systemd import journal  # noqa: PLC0415  a node without python3-systemd has the file

            self._send = journal.send
        return self._send

# SPDX-License-Identifier: Apache-2.0
"""Violations: from the kernel's events to the log, the journal and the counters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from varmor.errors import VarmorError
from varmor.kernel.audit_record import AuditRecord
from varmor.kernel.bpf.events import BpfEvent, Withheld
from varmor.node.violation_attribution import Attributor
from varmor.node.violation_audit import AuditViolations
from varmor.node.violation_bpf import BpfViolations
from varmor.node.violation_flood import Folder, identical, same_workload
from varmor.node.violation_journal import ViolationJournal
from varmor.node.violation_log import ViolationLog
from varmor.node.violation_record import Violation

BURST, BURST_SECONDS = 20, 10.0
WORKLOAD_BURST = 500
_LOG = logging.getLogger(__name__)


class Violations:
    """Writes violations. For one thread; :meth:`tick` at least every few seconds, :meth:`flush` at the end.

    ``records_seccomp``: what seccomp refuses comes as events of the BPF enforcer.
    """

    def __init__(
        self,
        node: str,
        log: ViolationLog,
        journal: ViolationJournal,
        attributor: Attributor,
        metadata: Iterable[tuple[str, str]] = (),
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        *,
        records_seccomp: bool = False,
    ) -> None:
        self._node = node
        self._log = log
        self._journal = journal
        self._audit = AuditViolations(attributor, records_seccomp=records_seccomp)
        self._bpf = BpfViolations(attributor)
        self._metadata = dict(metadata)
        self._clock = clock
        self._wall_clock = wall_clock
        self._same = Folder(BURST, BURST_SECONDS, identical, "identical violations")
        self._workload = Folder(WORKLOAD_BURST, BURST_SECONDS, same_workload, "violations of this workload")
        self._complaints: set[str] = set()
        self.recorded = 0
        self.unreadable = 0

    @property
    def lost(self) -> int:
        """Violations that happened and are not in the log: unreadable records and failed writes. What the kernel
        dropped is counted by the streams.
        """
        return self.unreadable + self._log.lost

    def accept_records(self, records: Iterable[AuditRecord]) -> None:
        """Take audit records as they come; those that are no violations of ours are passed over."""
        for record in records:
            try:
                violation = self._audit.violation(record)
            except VarmorError as error:
                self._complain(error)
                continue
            if violation is not None:
                self.accept(violation)

    def accept_events(self, events: Iterable[BpfEvent]) -> None:
        """Take events of the BPF enforcer as they come."""
        for event in events:
            violation = self._bpf.violation(event)
            if violation is not None:
                self.accept(violation)

    def accept_withheld(self, workload: int, withheld: Withheld, limit: int) -> None:
        """Take the number of events that a workload made beyond ``limit`` a second."""
        for violation in self._bpf.withheld(workload, withheld, limit):
            self.accept(violation)

    def accept(self, violation: Violation) -> None:
        """Write a violation, or count it with others of its kind."""
        self.recorded += violation.count
        now = self._clock()
        for passed in self._same.offer(replace(violation, metadata=self._metadata), now):
            for written in self._workload.offer(passed, now):
                self._write(written)

    def tick(self) -> None:
        """Write the folded violations whose time is over."""
        now = self._clock()
        for passed in self._same.due(now):
            for written in self._workload.offer(passed, now):
                self._write(written)
        for written in self._workload.due(now):
            self._write(written)

    def flush(self) -> None:
        """Write everything that is held back, and make the log durable."""
        now = self._clock()
        for passed in self._same.all():
            for written in self._workload.offer(passed, now):
                self._write(written)
        for written in self._workload.all():
            self._write(written)
        self._log.close()

    def _write(self, violation: Violation) -> None:
        self._log.write(violation.line(self._node, self._wall_clock()))
        self._journal.write(violation)

    def _complain(self, error: VarmorError) -> None:
        """A record that cannot be read counts as lost; each kind of reason is logged once."""
        self.unreadable += 1
        reason = type(error).__name__
        if reason not in self._complaints:
            self._complaints.add(reason)
            _LOG.error("a violation is lost: %s", error)

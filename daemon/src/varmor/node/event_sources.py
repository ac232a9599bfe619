# SPDX-License-Identifier: Apache-2.0
"""Where violations come from: descriptors that the event loop waits for."""

from __future__ import annotations

from typing import Protocol

from varmor.kernel.audit import AuditStream
from varmor.kernel.bpf.enforcer import BpfEnforcer
from varmor.node.violations import Violations


class EventSource(Protocol):
    """A descriptor that becomes readable, and what to do then. ``losses`` says what :meth:`lost` counts."""

    losses: str

    def fd(self) -> int:
        """The descriptor."""

    def drain(self) -> None:
        """Take everything that waits."""

    def tick(self) -> None:
        """Once a second, whether there is something to read or not."""

    def lost(self) -> int:
        """Events that the kernel dropped since the source was opened."""


class BpfEvents:
    """The ring buffer of the BPF enforcer."""

    losses = "events of the BPF enforcer found no room in its buffer"

    def __init__(self, bpf: BpfEnforcer, violations: Violations) -> None:
        self._bpf = bpf
        self._violations = violations

    def fd(self) -> int:
        """The ring buffer's descriptor."""
        return self._bpf.events_fd()

    def drain(self) -> None:
        """Take all events."""
        self._violations.accept_events(self._bpf.read_events())

    def tick(self) -> None:
        """Tell of what the programs did not record one by one."""
        for number, withheld in self._bpf.withheld().items():
            self._violations.accept_withheld(number, withheld, self._bpf.events_per_second)

    def lost(self) -> int:
        """Events that found no room in the ring buffer."""
        return self._bpf.lost()


class AuditEvents:
    """The kernel's audit records: AppArmor and seccomp."""

    losses = "audit records were dropped by the kernel or its socket"

    def __init__(self, stream: AuditStream, violations: Violations) -> None:
        self._stream = stream
        self._violations = violations

    def fd(self) -> int:
        """The netlink socket."""
        return self._stream.fd()

    def drain(self) -> None:
        """Take a batch; the loop comes back when there is more."""
        self._violations.accept_records(self._stream.read())

    def tick(self) -> None:
        """Nothing is withheld here."""

    def lost(self) -> int:
        """Records that the kernel or the socket dropped."""
        return self._stream.count_losses()

# SPDX-License-Identifier: Apache-2.0
"""What was seen of a workload while its behaviour was modelled, enforcer by enforcer."""

from __future__ import annotations

from dataclasses import dataclass

from varmor.policy.profile_content import ProfileContent
from varmor.policy.record import member


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A file that was used."""

    path: str = member("Its path")
    permissions: tuple[str, ...] = member("How it was used", default=(), limit=64)
    owner: bool = member("Whether the user who used it owns it", default=False)
    old_path: str = member("Its name before it was renamed or linked", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketUse:
    """Sockets that were made."""

    domain: str = member("The address family", default="", limit=64)
    type: str = member("The type", default="", limit=64)
    protocol: str = member("The protocol", default="", limit=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressUse:
    """Connections that were made."""

    ip: str = member("The address", limit=64)
    ports: tuple[int, ...] = member("The ports", default=(), high=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkUse:
    """Sockets and connections."""

    sockets: tuple[SocketUse, ...] = member("Sockets that were made", default=())
    egresses: tuple[EgressUse, ...] = member("Connections that were made", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PtraceUse:
    """Ptrace towards or from another process."""

    peer: str = member("The other process's profile or program", default="")
    permissions: tuple[str, ...] = member("What was done", default=(), limit=64)
    external: bool = member("Whether the other process is outside the workload", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalUse:
    """Signals to or from another process."""

    peer: str = member("The other process's profile", default="")
    permissions: tuple[str, ...] = member("Sent or received", default=(), limit=64)
    signals: tuple[str, ...] = member("Which signals", default=(), limit=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountUse:
    """A mount that was made."""

    path: str = member("What was mounted")
    type: str = member("The file system", default="", limit=64)
    flags: tuple[str, ...] = member("The flags", default=(), limit=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppArmorResult:
    """What AppArmor saw."""

    profiles: tuple[str, ...] = member("Profiles that records named", default=())
    executions: tuple[str, ...] = member("Programs that were executed", default=())
    files: tuple[FileUse, ...] = member("Files that were used", default=())
    capabilities: tuple[str, ...] = member("Capabilities that were used", default=(), limit=64)
    networks: NetworkUse | None = member("Sockets and connections", default=None)
    ptraces: tuple[PtraceUse, ...] = member("Ptrace", default=())
    signals: tuple[SignalUse, ...] = member("Signals", default=())
    unhandled: tuple[str, ...] = member("Records that were not understood", default=(), limit=65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class BpfResult:
    """What the BPF enforcer saw."""

    executions: tuple[str, ...] = member("Programs that were executed", default=())
    files: tuple[FileUse, ...] = member("Files that were used", default=())
    capabilities: tuple[str, ...] = member("Capabilities that were used", default=(), limit=64)
    network: NetworkUse | None = member("Sockets and connections", default=None)
    ptraces: tuple[PtraceUse, ...] = member("Ptrace", default=())
    mounts: tuple[MountUse, ...] = member("Mounts that were made", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccompResult:
    """What seccomp saw."""

    syscalls: tuple[str, ...] = member("System calls that were made", default=(), limit=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicResult:
    """What was seen while the workload ran."""

    apparmor: AppArmorResult | None = member("Seen by AppArmor", name="appArmor", default=None)
    bpf: BpfResult | None = member("Seen by the BPF enforcer", default=None)
    seccomp: SeccompResult | None = member("Seen by seccomp", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticResult:
    """What is known without running the workload; vArmor reserves the place and puts nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelData:
    """A behaviour model: what was seen, and the profile that was made from it."""

    dynamic_result: DynamicResult = member("What was seen while the workload ran", make=DynamicResult)
    static_result: StaticResult | None = member("What is known without running the workload", default=None)
    profile: ProfileContent | None = member("The profile that was made from it", default=None)

# SPDX-License-Identifier: Apache-2.0
"""What the forms of a rule say, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from varmor.catalog.types import AppArmorForm, BpfForm, MountForm, Rule, SocketForm, SyscallForm
from varmor.policy.types import Enforcer, SyscallArg

_OLDEST_PARSER = (3, 0)
_OLDEST_KERNEL = {Enforcer.APPARMOR: (4, 15), Enforcer.BPF: (6, 1)}


def form_lines(rule: Rule, enforcer: Enforcer) -> list[str]:
    """The form of one enforcer, a line for each part; empty when it has none."""
    if enforcer is Enforcer.APPARMOR:
        return [f"deny {body}," for body in rule.apparmor.rules] if rule.apparmor else []
    if enforcer is Enforcer.BPF:
        return list(_bpf(rule.bpf)) if rule.bpf else []
    return [syscall_line(form) for form in rule.seccomp]


def needs(rule: Rule, enforcer: Enforcer) -> str:
    """What a form asks of the node beyond what every supported one has: ``Linux 6.7, apparmor_parser 4.0``."""
    parts: list[str] = []
    form: AppArmorForm | BpfForm | None = {Enforcer.APPARMOR: rule.apparmor, Enforcer.BPF: rule.bpf}.get(enforcer)
    if form is not None and form.kernel > _OLDEST_KERNEL[enforcer]:
        parts.append(f"Linux {_version(form.kernel)}")
    if isinstance(form, AppArmorForm) and form.parser > _OLDEST_PARSER:
        parts.append(f"apparmor_parser {_version(form.parser)}")
    return ", ".join(parts)


def works_on(rule: Rule, enforcer: Enforcer, kernel: tuple[int, int]) -> bool:
    """Whether this single enforcer has a form that Linux ``kernel`` enforces."""
    if enforcer is Enforcer.APPARMOR:
        return rule.apparmor is not None and rule.apparmor.kernel <= kernel
    if enforcer is Enforcer.BPF:
        return rule.bpf is not None and rule.bpf.kernel <= kernel
    return bool(rule.seccomp)


def syscall_line(form: SyscallForm) -> str:
    """One seccomp entry: the calls, the conditions and the errno."""
    conditions = " and ".join(_condition(arg) for arg in form.args)
    answer = "answered as missing (ENOSYS)" if not form.observable else f"errno {form.errno}"
    return f"{', '.join(form.names)}{' when ' if conditions else ''}{conditions}: {answer}"


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _condition(arg: SyscallArg) -> str:
    name = f"arg{arg.index}"
    if arg.value == 0xFFFFFFFF:
        return f"{name} is {_number(arg.value_two)}"
    if arg.value == arg.value_two:
        return f"{name} has {arg.value:#x}"
    return f"{name} & {arg.value:#x} is {_number(arg.value_two)}"


def _number(value: int) -> str:
    return str(value) if value < 0x100 else f"{value:#x}"


def _bpf(form: BpfForm) -> Iterator[str]:
    for path in form.paths:
        yield f"{', '.join(path.access)} {path.pattern}"
    for address in form.egress:
        yield f"connect {address}"
    for item in form.ports:
        ports = ", ".join(map(str, item.ports))
        yield f"connect {item.network or 'any address'} port {ports}"
    for service in form.services:
        yield f"connect service {service}"
    for socket in form.sockets:
        yield f"socket {_socket(socket)}"
    if form.ptrace:
        yield f"ptrace {', '.join(form.ptrace)}, of other workloads"
    for mount in form.mounts:
        yield f"mount {_mount(mount)}"
    if form.capabilities:
        yield f"capability {', '.join(form.capabilities)}"
    for operation in form.switches:
        yield f"operation {operation}"


def _socket(socket: SocketForm) -> str:
    parts = (("domain", socket.domains), ("type", socket.types), ("protocol", socket.protocols))
    return " ".join(f"{word} {', '.join(values)}" for word, values in parts if values) or "of any kind"


def _mount(mount: MountForm) -> str:
    parts = []
    if mount.source != "**":
        parts.append(f"of {mount.source}")
    if mount.target != "**":
        parts.append(f"on {mount.target}")
    if mount.fstype != "*":
        parts.append(f"of type {mount.fstype}")
    if mount.flags:
        parts.append(f"({', '.join(mount.flags)})")
    return " ".join(parts) or "of anything"

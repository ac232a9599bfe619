# SPDX-License-Identifier: Apache-2.0
"""The ctypes mirror and the compiled object agree on every shared structure and number.

``struct bound_task`` lives on the stack only, so the BTF lacks it: tests/kernel/bpf/test_binding.py reads real ones.
"""

from __future__ import annotations

import ctypes
import enum
import re
from pathlib import Path

import pytest

from tests.unit.kernel.bpf.btf import Btf, Elf
from varmor.kernel.bpf import layout
from varmor.kernel.bpf.loader import OBJECT, RoData
from varmor.profile import tables
from varmor.profile.types import Access, PtracePermission, SocketProtocol

HEADER = Path(__file__).parents[4] / "daemon" / "bpf" / "varmor.h"


@pytest.fixture(scope="module")
def elf() -> Elf:
    """The compiled object."""
    if not OBJECT.exists():
        pytest.skip("the BPF object is not built: run `make bpf`")
    return Elf(OBJECT)


@pytest.fixture(scope="module")
def btf(elf: Elf) -> Btf:
    """Its type information."""
    return Btf(elf.section(".BTF"))


@pytest.mark.parametrize(
    ("name", "mirror"),
    [
        ("workload", layout.Workload),
        ("slot", layout.Slot),
        ("cgroup_binding", layout.CgroupBinding),
        ("mount_binding", layout.MountBinding),
        ("automaton", layout.KernelAutomaton),
        ("automaton_pair", layout.AutomatonPair),
        ("mount_rule", layout.MountRuleRecord),
        ("socket_rule", layout.SocketRuleRecord),
        ("child_key", layout.ChildKey),
        ("process", layout.Process),
        ("profile", layout.ProfileRecord),
        ("network_key", layout.NetworkKey),
        ("network_value", layout.NetworkValue),
        ("port_range", layout.PortRangeRecord),
        ("event", layout.EventHeader),
    ],
)
def test_structure(btf: Btf, name: str, mirror: type[ctypes.Structure]) -> None:
    compiled = btf.structures[name]
    assert ctypes.sizeof(mirror) == compiled.size
    fields = [field[0] for field in mirror._fields_]
    assert {field: getattr(mirror, field).offset for field in fields} == compiled.offsets


@pytest.mark.parametrize(
    ("prefix", "mirror"),
    [
        ("HOOK_", layout.Hook),
        ("VERDICT_", layout.Verdict),
        ("REASON_", layout.Reason),
        ("COUNTER_", layout.Counter),
    ],
)
def test_enumeration(prefix: str, mirror: type[enum.IntEnum]) -> None:
    """By the source: the compiler keeps only the enumerations that a program names."""
    source = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    found: dict[str, int] = {}
    following = 0
    for name, value in re.findall(rf"\b{prefix}(\w+)(?: = (\d+))?,", source):
        following = int(value) if value else following
        found[name] = following
        following += 1
    assert found == {member.name: member.value for member in mirror}


def _defines() -> dict[str, int]:
    lines = re.findall(r"^#define (\w+) (0x[0-9a-f]+|\d+)\b", HEADER.read_text(), flags=re.MULTILINE)
    return {name: int(value, 0) for name, value in lines}


def test_numbers() -> None:
    defines = _defines()
    for name in (
        "PATH_SIZE",
        "UNIT_PATH_SIZE",
        "NAME_SIZE",
        "DIGEST_SIZE",
        "MAX_PAIRS",
        "MAX_MOUNT_RULES",
        "MAX_SOCKET_RULES",
        "FSTYPE_SIZE",
    ):
        assert getattr(layout, name) == defines[name]
    assert defines["MAX_PAIRS"] * 2 == tables.MAX_AUTOMATA
    assert defines["MAX_MOUNT_RULES"] == tables.MAX_MOUNT_RULES
    assert defines["MAX_SOCKET_RULES"] == tables.MAX_SOCKET_RULES
    assert defines["MAX_PORT_RANGES"] == tables.MAX_PORT_RANGES
    assert defines["FSTYPE_SIZE"] == tables.FSTYPE_BYTES + 1
    switches = {
        name.removeprefix("SWITCH_").lower(): bit for name, bit in defines.items() if name.startswith("SWITCH_")
    }
    assert switches == tables.SWITCHES
    assert defines.pop("ACCESS_MAP_PROGRAM") == tables.MAP_PROGRAM
    for prefix, names in (("ACCESS_", Access), ("PROTOCOL_", SocketProtocol), ("PTRACE_", PtracePermission)):
        assert {name: bit for name, bit in defines.items() if name.startswith(prefix)} == {
            f"{prefix}{member.name}": member.value for member in names
        }
    assert {"DEFAULT_DENY", "DEFAULT_AUDIT"} == {f"DEFAULT_{member.name}" for member in tables.Default}
    for default in tables.Default:
        assert defines[f"DEFAULT_{default.name}"] == default.value
    for flag in layout.BindFlag:
        assert defines[f"BIND_{flag.name}"] == flag.value


def test_constants_that_the_loader_sets(elf: Elf) -> None:
    symbols = elf.symbols()
    assert symbols["host_mount_namespace"] == RoData.host_mount_namespace.offset  # type: ignore[attr-defined]
    assert symbols["table_words"] == RoData.table_words.offset  # type: ignore[attr-defined]


def test_address_starts_after_the_fixed_bits() -> None:
    assert (layout.NetworkKey.address.offset - 4) * 8 == layout.NETWORK_PREFIX_BITS  # type: ignore[attr-defined]


def test_object_names_no_place_of_its_build() -> None:
    if not OBJECT.exists():
        pytest.skip("the BPF object is not built: run `make bpf`")
    assert str(Path.cwd()).encode() not in OBJECT.read_bytes()

# SPDX-License-Identifier: Apache-2.0
"""Whether this kernel can run the BPF enforcer, and if not, why: found out by trying, not by versions."""

from __future__ import annotations

import os
from pathlib import Path

from varmor.kernel.bpf import cgroup
from varmor.kernel.bpf.libbpf import BpfError, KernelBtf, load_empty_lsm_program
from varmor.kernel.bpf.pins import BPFFS
from varmor.kernel.support import YES, Support, no

_LSM = Path("/sys/kernel/security/lsm")
_BTF = Path("/sys/kernel/btf/vmlinux")
_MOUNTS = Path("/proc/self/mounts")
_PROBED_HOOK = "bpf_lsm_file_open"


def probe(object_path: Path) -> Support:
    """Look for everything that the enforcer needs, cheapest first."""
    if os.geteuid() != 0:
        return no("it needs root")
    try:
        active = _LSM.read_text().strip().split(",")
    except OSError as error:
        return no(f"{_LSM} cannot be read ({error.strerror}): mount securityfs on /sys/kernel/security")
    if "bpf" not in active:
        return no(
            f"the kernel's active security modules are {','.join(active)}, without bpf: add bpf to lsm= on the kernel "
            "command line (the kernel must be built with CONFIG_BPF_LSM)"
        )
    if not _BTF.exists():
        return no(f"{_BTF} is missing: the kernel is built without CONFIG_DEBUG_INFO_BTF")
    if not _mounted(BPFFS, "bpf"):
        return no(f"no bpffs is mounted on {BPFFS}: mount -t bpf bpf {BPFFS}")
    if not cgroup.unified():
        return no(f"{cgroup.ROOT} is not the unified cgroup hierarchy: boot with systemd.unified_cgroup_hierarchy=1")
    if not object_path.exists():
        return no(f"the BPF object {object_path} is missing: the package is incomplete (from a checkout: make bpf)")
    return _load()


def _mounted(path: Path, kind: str) -> bool:
    for line in _MOUNTS.read_text().splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[1] == str(path) and fields[2] == kind:
            return True
    return False


def _load() -> Support:
    try:
        with KernelBtf() as btf:
            number = btf.function(_PROBED_HOOK)
        if not number:
            return no(f"the kernel's BTF has no {_PROBED_HOOK}: it is built without CONFIG_BPF_LSM")
        load_empty_lsm_program(number)
    except BpfError as error:
        return no(str(error))
    return YES
